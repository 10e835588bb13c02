"""Wait for transfers to end, woken by the worker's commit: one listener and one read for all who wait."""

import asyncio
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from shared.database.connections import API, connect_async
from shared.database.endings import listen, next_notification, read_ended
from shared.telemetry import first_line

log = structlog.get_logger()

LOOK_INTERVAL_SECONDS: Final = 1.0
"""The safety net: whoever waits is looked after this often although no notification came."""

RECONNECT_SECONDS: Final = 0.5


class Endings:
    """Tells callers when their transfers have ended. One for each process."""

    def __init__(self, database_url: str) -> None:
        """Connect nowhere yet; `run` does."""
        self._database_url = database_url
        self._waiting: dict[UUID, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watch(self, transfer_id: UUID) -> Generator[asyncio.Event]:
        """Register first, then read or write, then `wait_for` it: an ending in between is not missed.

        Yields:
            What is set when the transfer has ended.
        """
        ended = asyncio.Event()
        self._waiting[transfer_id].add(ended)
        try:
            yield ended
        finally:
            self._waiting[transfer_id].discard(ended)
            if not self._waiting[transfer_id]:
                del self._waiting[transfer_id]

    async def run(self) -> None:
        """Listen, in a task of its own, through any trouble with PostgreSQL."""
        while True:
            try:
                connection = await connect_async(self._database_url, application_name="hishab-listener", timeouts=API)
                async with connection:
                    await self._listen(connection)
            except psycopg.Error as error:
                log.warning("listener.interrupted", error=first_line(error))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, connection: AsyncConnection) -> None:
        await listen(connection)
        while True:
            await next_notification(connection, seconds_max=LOOK_INTERVAL_SECONDS)
            if self._waiting:
                for transfer_id in await read_ended(connection, list(self._waiting)):
                    for ended in self._waiting.get(transfer_id, ()):
                        ended.set()


async def wait_for(ended: asyncio.Event, *, seconds_max: float) -> bool:
    """Wait until it is set, or so many seconds have passed; say which."""
    try:
        await asyncio.wait_for(ended.wait(), seconds_max)
    except TimeoutError:
        return False
    return True
