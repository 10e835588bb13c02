"""Hold the lists to this: over all pages, each asked for only when it is wanted."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import pytest

from hishab.answers import Event, Page
from hishab.client import Client
from hishab.errors import UnexpectedAnswerError
from tests.unit.asking import TRANSFER, ask, one_after_the_other, problem
from tests.unit.scripted_server import Reply

ENTRY = {
    "number": 7,
    "amount": -100,
    "balance_after": 400,
    "transfer_id": "t1",
    "created_at": "2026-11-22T10:00:00.000000Z",
    "mood": "fine",
}
LIMIT = ("limit", "100")


def page(data: Sequence[object], *, next_cursor: str | None, has_more: bool) -> Reply:
    return Reply(body={"data": data, "has_more": has_more, "next_cursor": next_cursor, "mood": "fine"})


def asked(path: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(path)
    return parts.path, parse_qsl(parts.query)


def test_a_list_goes_over_all_its_pages() -> None:
    script, seen = one_after_the_other(
        page([ENTRY, ENTRY], next_cursor="c1", has_more=True),
        problem(503, "service_unavailable"),
        page([], next_cursor="c2", has_more=True),
        page([ENTRY], next_cursor=None, has_more=False),
    )

    async def read(client: Client) -> list[tuple[int, int, int]]:
        entries = client.iterate_entries("w1")
        return [(entry.number, entry.amount_minor, entry.balance_after_minor) async for entry in entries]

    assert ask(script, read) == [(7, -100, 400)] * 3
    assert [asked(request.path) for request in seen] == [
        ("/v1/wallets/w1/entries", [LIMIT]),
        ("/v1/wallets/w1/entries", [LIMIT, ("cursor", "c1")]),
        ("/v1/wallets/w1/entries", [LIMIT, ("cursor", "c1")]),
        ("/v1/wallets/w1/entries", [LIMIT, ("cursor", "c2")]),
    ]


def test_transfers_are_filtered_as_was_asked() -> None:
    script, seen = one_after_the_other(page([TRANSFER], next_cursor=None, has_more=False))

    async def read(client: Client) -> list[str]:
        return [transfer.id async for transfer in client.iterate_transfers(status="failed", reference="order 7")]

    assert ask(script, read) == ["t1"]
    assert asked(seen[0].path) == ("/v1/transfers", [("status", "failed"), ("reference", "order 7"), LIMIT])


def test_a_batch_is_a_list_of_transfers() -> None:
    script, seen = one_after_the_other(page([TRANSFER], next_cursor=None, has_more=False))

    async def read(client: Client) -> list[str]:
        return [transfer.id async for transfer in client.iterate_batch("b1")]

    assert ask(script, read) == ["t1"]
    assert asked(seen[0].path) == ("/v1/transfer-batches/b1/transfers", [LIMIT])


def test_the_feed_comes_with_where_to_go_on_and_with_events_nobody_knows() -> None:
    told = {"type": "transfer.succeeded", "id": "evt_1", "data": TRANSFER}
    strange = {"type": "moon.full", "id": "evt_2", "data": {"phase": 4}}
    script, seen = one_after_the_other(
        page([told], next_cursor="c1", has_more=True), page([strange], next_cursor="c2", has_more=False)
    )

    async def read(client: Client) -> list[tuple[list[str], str | None]]:
        pages = client.iterate_event_pages(types=["a.b", "c.d"], after="c0")
        return [([event.type for event in found.data], found.next_cursor) async for found in pages]

    assert ask(script, read) == [(["transfer.succeeded"], "c1"), (["moon.full"], "c2")]
    wanted = [("types", "a.b"), ("types", "c.d"), LIMIT]
    assert [asked(request.path) for request in seen] == [
        ("/v1/events", [*wanted, ("after", "c0")]),
        ("/v1/events", [*wanted, ("after", "c1")]),
    ]


def test_a_list_that_is_none_is_not_in_the_contract() -> None:
    script, _ = one_after_the_other(Reply(body=[TRANSFER]))

    async def read(client: Client) -> list[Page[Event]]:
        return [found async for found in client.iterate_event_pages()]

    with pytest.raises(UnexpectedAnswerError):
        ask(script, read)
