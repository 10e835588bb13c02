"""Does a feed skip nothing, whichever lane commits first? And does an operator see what a defect of ours ended?"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.engine import reading_engine
from shared.database.feed import LOOKED_AT_MAX, FeedPage, read_feed
from shared.database.transfers import UnprocessableTransfer, list_unprocessable
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.webhook import ENDPOINT_DISABLED, PING, TRANSFER_SUCCEEDED
from shared.identifiers import new_id
from tests.ledger import Ledger

Read = TypeVar("Read")

GIVEN_UP: Final = '{"z": 1, "a": "in the order that webhooks were told"}'


def reading(ledger: Ledger, read: Callable[[AsyncConnection], Awaitable[Read]]) -> Read:
    async def run() -> Read:
        engine = reading_engine(ledger.database_url, pool_size=1)
        async with engine.connect() as tx:
            found = await read(tx)
        await engine.dispose()
        return found

    return asyncio.run(run())


def feed(
    ledger: Ledger, *, after: Mapping[int, int], types: tuple[str, ...] | None = None, limit: int = 20
) -> FeedPage:
    return reading(ledger, lambda tx: read_feed(tx, OPERATORS_OWNER_ID, after=after, types=types, limit=limit))


def told(page: FeedPage) -> list[UUID]:
    return [event.transfer_id for event in page.events if event.transfer_id is not None]


class TestFeed:
    def test_tells_of_a_lane_that_commits_late(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=10), ledger.wallet()
        beginning = feed(ledger, after={}, limit=100).numbers
        ledger.connection.execute("INSERT INTO lanes (lane) VALUES (2)")
        requests = [ledger.request(source, destination, 1) for _ in range(4)]
        for request in requests:
            ledger.accept([request])
        ids = [request.transfer_id for request in requests]
        # The first two wait in another lane.
        ledger.connection.execute("UPDATE queue SET lane = 2 WHERE transfer_id = ANY(%s)", (ids[:2],))
        ledger.drain(lane=1)
        page = feed(ledger, after=beginning)
        assert told(page) == ids[2:]
        ledger.drain(lane=2)
        assert told(feed(ledger, after=page.numbers)) == ids[:2]
        assert set(told(feed(ledger, after=beginning))) == set(ids)

    def test_gets_past_what_is_not_wanted(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=LOOKED_AT_MAX), ledger.wallet()
        ledger.accept([ledger.request(source, destination, 1) for _ in range(LOOKED_AT_MAX)])
        failing = ledger.accept_one(source, destination, 1)
        ledger.drain()
        pages = [feed(ledger, after={}, types=("transfer.failed",))]
        while pages[-1].has_more:
            pages.append(feed(ledger, after=pages[-1].numbers, types=("transfer.failed",)))
        assert [told(page) for page in pages] == [[], [failing]]

    def test_does_not_look_again_at_what_was_not_wanted(self, ledger: Ledger) -> None:
        ledger.wallet(holding=1)
        (end,) = ledger.connection.execute("SELECT event_number FROM lanes WHERE lane = 1").fetchone() or (0,)
        assert feed(ledger, after={}, types=("transfer.failed",)).numbers == {0: 0, 1: end}

    def test_tells_of_an_endpoint_that_was_disabled_and_of_no_ping(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=1), ledger.wallet()
        beginning = feed(ledger, after={}, limit=100).numbers
        for number, (type_, data) in enumerate([(PING, "{}"), (ENDPOINT_DISABLED, GIVEN_UP), (PING, "{}")], start=1):
            ledger.connection.execute(
                "INSERT INTO events (id, lane, number, type, created_at, owner_id, endpoint_id, data)"
                " VALUES (%s, 0, %s, %s, clock_timestamp(), %s, %s, %s)",
                (new_id(), number, type_, OPERATORS_OWNER_ID, new_id(), data),
            )
        ledger.connection.execute("UPDATE lanes SET event_number = 3 WHERE lane = 0")
        transfer_id = ledger.accept_one(source, destination, 1)
        ledger.drain()
        page = feed(ledger, after=beginning)
        assert [(event.type, event.transfer_id) for event in page.events] == [
            (ENDPOINT_DISABLED, None),
            (TRANSFER_SUCCEEDED, transfer_id),
        ]
        assert json.dumps(page.events[0].data) == GIVEN_UP
        assert page.numbers[0] == 3
        (alone,) = feed(ledger, after=beginning, types=(ENDPOINT_DISABLED,)).events
        assert alone == page.events[0]


def test_an_operator_sees_what_went_wrong_on_our_side(ledger: Ledger) -> None:
    source, destination = ledger.wallet(holding=1), ledger.wallet()
    transfer_id = ledger.accept_one(source, destination, 1)
    ledger.connection.execute("UPDATE queue SET attempts = 5")
    ledger.connection.execute("UPDATE lanes SET careful_transfers_left = 1 WHERE lane = 1")
    ledger.drain()
    assert ledger.ending(transfer_id) == "unprocessable"

    def listed(before: int | None) -> list[UnprocessableTransfer]:
        return reading(ledger, lambda tx: list_unprocessable(tx, before=before, limit=20))

    (found,) = listed(None)
    assert found.transfer.id == transfer_id
    assert found.defect == "The process that applied it died."
    assert listed(found.transfer.position) == []
