"""Wait for transfers to end, woken by the worker's commit: one listener and one read for all who wait."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from shared.database.connections import API, connect_async
from shared.database.endings import EndedTransfer, listen, next_notification, read_ended
from shared.telemetry import first_line

log = structlog.get_logger()

LOOK_INTERVAL_SECONDS: Final = 1.0
"""The safety net: whoever waits is looked after this often although no notification came."""

RECONNECT_SECONDS: Final = 0.5


class Watch:
    """Transfers that one caller waits for, and how those ended that have.

    Attributes:
        was_refused: Too many wait already, or the process is stopping: `wait` returns at once.
        endings: Grows while it is waited, and needs no database to be read.
    """

    def __init__(self, transfer_ids: Collection[UUID], *, was_refused: bool = False) -> None:
        """Watch nothing yet; `Endings.watch` makes one that is told."""
        self.transfer_ids = frozenset(transfer_ids)
        self.was_refused = was_refused
        self.endings: dict[UUID, EndedTransfer] = {}
        self._over = asyncio.Event()
        if was_refused or not self.transfer_ids:
            self._over.set()

    @property
    def is_over(self) -> bool:
        """Say whether there is nothing more to wait for: all have ended, or the process is stopping."""
        return self._over.is_set()

    async def wait(self, *, seconds_max: float) -> None:
        """Wait until all have ended, so many seconds have passed, or the process stops; `endings` tells which."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._over.wait()
        except TimeoutError:
            pass

    def tell(self, ended: EndedTransfer) -> None:
        """Take note that one of them has ended."""
        self.endings[ended.transfer_id] = ended
        if len(self.endings) == len(self.transfer_ids):
            self._over.set()

    def let_go(self) -> None:
        """Wait no longer."""
        self._over.set()


class Endings:
    """Tells callers when their transfers have ended, and how. One for each process."""

    def __init__(self, database_url: str, *, watched_max: int) -> None:
        """Connect nowhere yet; `run` does.

        Args:
            watched_max: Transfers that may be watched at once, counted once for everybody who watches them.
        """
        self._database_url = database_url
        self._watched_max = watched_max
        self._watched = 0
        self._watches: dict[UUID, set[Watch]] = defaultdict(set)
        self._stopping = False

    @property
    def is_stopping(self) -> bool:
        """Say whether the process takes no more callers who wait, since it ends."""
        return self._stopping

    @contextmanager
    def watch(self, transfer_ids: Collection[UUID]) -> Generator[Watch]:
        """Register first, then read or write, then wait: an ending in between is not missed.

        Whoever waits for many gives them all at once, those too that have ended already: they are found to have.
        """
        asked = len(transfer_ids)
        if self._stopping or self._watched + asked > self._watched_max:
            yield Watch(transfer_ids, was_refused=True)
            return
        watch = Watch(transfer_ids)
        self._watched += asked
        for transfer_id in watch.transfer_ids:
            self._watches[transfer_id].add(watch)
        try:
            yield watch
        finally:
            self._watched -= asked
            self._forget(watch)

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

    def stop(self) -> None:
        """Let everybody go, at once and from now on: whoever waits is answered with what is known."""
        self._stopping = True
        for watches in self._watches.values():
            for watch in watches:
                watch.let_go()

    async def _listen(self, connection: AsyncConnection) -> None:
        await listen(connection)
        while True:
            # Before the first notification too: what ended while nobody listened was told to nobody.
            await self._look(connection)
            await next_notification(connection, seconds_max=LOOK_INTERVAL_SECONDS)

    async def _look(self, connection: AsyncConnection) -> None:
        if not self._watches:
            return
        for ended in await read_ended(connection, list(self._watches)):
            for watch in self._watches.pop(ended.transfer_id, ()):
                watch.tell(ended)

    def _forget(self, watch: Watch) -> None:
        for transfer_id in watch.transfer_ids - watch.endings.keys():
            self._watches[transfer_id].discard(watch)
            if not self._watches[transfer_id]:
                del self._watches[transfer_id]
