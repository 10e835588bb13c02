"""Read the feed with the Python client: nothing is skipped, and one comes back with where one was."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from hishab import Client, NewTransfer
from tests.callers import Person
from tests.running_system import System

END_SECONDS_MAX = 60.0

T = TypeVar("T")


def in_time(call: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(call, END_SECONDS_MAX))


def test_a_reader_that_comes_back_misses_nothing(system: System, payer: Person, payee: Person) -> None:
    async def read() -> list[list[int]]:
        cursor: str | None = None
        rounds: list[list[int]] = []
        async with Client(system.url, api_key=payer.token) as client:
            for amount_minor in (700_000, 11, 12):
                new = NewTransfer(destination_wallet_id=payee.wallet_id, amount_minor=amount_minor, currency="BDT")
                await client.submit_and_wait(new)
                rounds.append([])
                async for page in client.iterate_event_pages(types=["transfer.succeeded"], after=cursor):
                    rounds[-1] += [event.transfer.amount_minor for event in page.data if event.transfer]
                    cursor = page.next_cursor
        return rounds

    first, *others = in_time(read())
    # The opening grant is an event of hers, too.
    assert first == [500_000]
    assert others == [[11], [12]]
