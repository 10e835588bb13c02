"""What the pool promises to whoever accepts: a connection that answers, and one again as soon as PostgreSQL is back."""

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from shared.database.connections import INTAKE, connect_async
from shared.database.pool import NoConnectionError, Pool
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio

SIZE = 3


class Connecting:
    """Connects for a pool, after some refusals, and counts."""

    def __init__(self, ledger: Ledger) -> None:
        self._url = ledger.database_url
        self.refusals = 0
        self.made = 0

    async def __call__(self) -> psycopg.AsyncConnection:
        if self.refusals:
            self.refusals -= 1
            raise psycopg.OperationalError("refused")
        self.made += 1
        return await connect_async(self._url, application_name="pooled", timeouts=INTAKE)


async def use(pool: Pool, *, at_once: int = 1) -> list[int]:
    """Take so many connections out, and say which server process each speaks to."""
    async with AsyncExitStack() as stack:
        taken = [await stack.enter_async_context(pool.connection()) for _ in range(at_once)]
        for connection in taken:
            await connection.execute("SELECT 1")
        return [connection.info.backend_pid for connection in taken]


async def test_keeps_what_it_has_made(ledger: Ledger) -> None:
    connect = Connecting(ledger)
    async with Pool(connect, size_max=SIZE) as pool:
        kept = await use(pool, at_once=SIZE)
        assert sorted(await use(pool, at_once=SIZE)) == sorted(kept)
    assert connect.made == SIZE


async def test_tries_again_while_it_is_refused(ledger: Ledger) -> None:
    connect = Connecting(ledger)
    async with Pool(connect, size_max=SIZE) as pool:
        (kept,) = await use(pool)
        await asyncio.to_thread(ledger.value, "SELECT pg_terminate_backend(%s, 10000)", kept)
        connect.refusals = 3
        assert await use(pool) != [kept]
    assert (connect.refusals, connect.made) == (0, 2)


async def test_trusts_none_that_were_kept_with_one_that_was_hung_up_on(ledger: Ledger) -> None:
    connect = Connecting(ledger)
    async with Pool(connect, size_max=SIZE) as pool:
        for kept in await use(pool, at_once=SIZE):
            await asyncio.to_thread(ledger.value, "SELECT pg_terminate_backend(%s, 10000)", kept)
        connect.made = 0
        await use(pool)
        await use(pool, at_once=SIZE)
    assert connect.made == SIZE


async def test_gives_back_the_place_of_whoever_came_to_nothing(ledger: Ledger) -> None:
    connect = Connecting(ledger)
    async with Pool(connect, size_max=1) as pool:
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with pool.connection() as connection:
                await connection.execute("SELECT 1 / 0")
        async with pool.connection() as connection:
            await connection.close()
        await use(pool)
    assert connect.made == 2


async def test_says_so_when_none_can_be_had_in_time(ledger: Ledger) -> None:
    async with Pool(Connecting(ledger), size_max=1) as pool, pool.connection():
        with pytest.raises(NoConnectionError, match="in use"):
            await use(pool)


async def test_keeps_nothing_once_it_is_closed(ledger: Ledger) -> None:
    pool = Pool(Connecting(ledger), size_max=SIZE)
    await use(pool)
    async with pool.connection() as connection:
        await pool.close()
        assert not connection.closed
    assert connection.closed
