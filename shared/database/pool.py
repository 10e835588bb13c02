"""Keep the connections that accepting has to itself, and be back as soon as PostgreSQL is.

The pool that comes with psycopg waits twice as long after each vain try: after an outage of ten seconds up to ten more.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from typing import Final, Self
from weakref import WeakKeyDictionary

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from shared import clock
from shared.database.connections import INTAKE, INTAKE_NAME, connect_async, hang_up, has_hung_up
from shared.telemetry import first_line

log = structlog.get_logger()

POOL_SECONDS_MAX: Final = 5.0
"""How long a write waits for a connection: through a restart of PostgreSQL, and no longer than its caller likes."""

RECONNECT_SECONDS: Final = 0.1
"""Between two tries to connect. One caller at a time tries, and a refusal takes a millisecond."""

TRUSTED_SECONDS: Final = 0.25
"""Shorter than it takes a server that froze to be missed."""

CHECK_SECONDS_MAX: Final = 1.0
"""Within which a connection that is taken out of a pool has to answer."""


class NoConnectionError(Exception):
    """PostgreSQL could not be reached in time. Nothing was asked of it."""


class Pool:
    """A few connections, made when they are needed and kept for the next who needs one."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection]],
        *,
        size_max: int,
        trusted_seconds: float = TRUSTED_SECONDS,
    ) -> None:
        """Connect nowhere yet.

        Args:
            connect: Makes a connection on which every statement outside a transaction block is one of its own.
            trusted_seconds: How long a connection that answered is not asked again whether it lives.
        """
        self._connect = connect
        self._places = asyncio.Semaphore(size_max)
        self._trusted_seconds = trusted_seconds
        self._answered: WeakKeyDictionary[AsyncConnection, float] = WeakKeyDictionary()
        self._idle: list[AsyncConnection] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def open(self) -> None:
        """Make the first connection, by which PostgreSQL knows of us from now on."""
        try:
            async with self.connection():
                pass
        except NoConnectionError as error:
            log.warning("pool.not_connected", error=str(error))

    async def close(self) -> None:
        """Close what nobody uses, and the rest once it is given back."""
        self._closed = True
        await self._close_idle()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[AsyncConnection]:
        """Lend a connection that answers.

        Raises:
            NoConnectionError: None could be had in five seconds.
        """
        until_seconds = asyncio.get_running_loop().time() + POOL_SECONDS_MAX
        await self._take_place(until_seconds)
        try:
            connection = await self._kept() or await self._made(until_seconds)
            try:
                yield connection
            finally:
                await self._keep(connection)
        finally:
            self._places.release()

    async def _take_place(self, until_seconds: float) -> None:
        try:
            async with asyncio.timeout_at(until_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            message = "all connections are in use"
            raise NoConnectionError(message) from error

    async def _kept(self) -> AsyncConnection | None:
        """Take out one that still answers. Once one does not, none is trusted that it was kept with."""
        if not self._idle:
            return None
        # Whoever comes first after a restart of PostgreSQL must not find out about it by a 503.
        connection = self._idle.pop()
        if await self._answers(connection):
            return connection
        await connection.close()
        await self._close_idle()
        return None

    async def _answers(self, connection: AsyncConnection) -> bool:
        """See whether a connection still answers; one whose server is frozen does not, and says nothing either.

        One that answered a moment ago and has not hung up since, as a server that stops does, is taken at its word:
        under load that saves every write a round trip.
        """
        now_seconds = clock.monotonic_seconds()
        if now_seconds - self._answered.get(connection, -inf) < self._trusted_seconds and not has_hung_up(connection):
            return True
        deadline = asyncio.get_running_loop().call_later(CHECK_SECONDS_MAX, hang_up, connection)
        try:
            await connection.execute("")
        except psycopg.Error:
            return False
        finally:
            deadline.cancel()
        self._answered[connection] = now_seconds
        return True

    async def _made(self, until_seconds: float) -> AsyncConnection:
        """Connect anew, trying again until the time is up."""
        refusal = "PostgreSQL does not answer"
        try:
            async with asyncio.timeout_at(until_seconds):
                while True:
                    try:
                        return await self._connect()
                    except psycopg.OperationalError as error:
                        refusal = first_line(error)
                    await asyncio.sleep(RECONNECT_SECONDS)
        except TimeoutError as error:
            raise NoConnectionError(refusal) from error

    async def _keep(self, connection: AsyncConnection) -> None:
        if self._closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await connection.close()
        else:
            self._idle.append(connection)

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.close()


def intake_pool(database_url: str, *, size_max: int, trusted_seconds: float = TRUSTED_SECONDS) -> Pool:
    """Make the pool that accepting has to itself, so that no reader can keep a transfer waiting."""
    return Pool(
        lambda: connect_async(database_url, application_name=INTAKE_NAME, timeouts=INTAKE),
        size_max=size_max,
        trusted_seconds=trusted_seconds,
    )
