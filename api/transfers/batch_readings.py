"""Say how batches stand, at once or once they have ended: one transfer a lane is watched, however many wait."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from api.transfers.waiting import Endings
from shared.database.batches import BatchRecord, read_batch, read_last_queued, read_standing
from shared.domain.batch import StandingBatch

KEPT_MAX: Final = 1_000
"""Completed batches whose counts are kept: they never change, and all who waited ask for them at the same moment."""


class BatchReadings:
    """Reads how batches stand."""

    def __init__(self, engine: AsyncEngine, *, endings: Endings) -> None:
        """Connect nowhere yet."""
        self._engine = engine
        self._endings = endings
        self._completed: dict[UUID, StandingBatch] = {}

    async def find(self, batch_id: UUID, *, owner_id: UUID) -> BatchRecord | None:
        """Find a batch, if it is this owner's."""
        async with self._engine.connect() as tx:
            return await read_batch(tx, batch_id, owner_id=owner_id)

    async def read(self, batch: BatchRecord) -> StandingBatch:
        """Say how a batch stands now."""
        if kept := self._completed.get(batch.id):
            return kept
        async with self._engine.connect() as tx:
            # Somebody may have counted while this one waited for a connection.
            standing = self._completed.get(batch.id) or await read_standing(tx, batch)
        if standing.completed_at is not None:
            if len(self._completed) >= KEPT_MAX:
                self._completed.clear()
            self._completed[batch.id] = standing
        return standing

    async def wait(self, batch: BatchRecord, *, seconds_max: float) -> bool:
        """Wait until all transfers of a batch have ended, or so many seconds have passed; say whether one could wait.

        No connection is held meanwhile.
        """
        with self._endings.watch(await self._last_queued(batch)) as watch:
            # Once more: what ended before it was watched need not be waited for.
            if not watch.is_over and await self._last_queued(batch):
                await watch.wait(seconds_max=seconds_max)
        return not watch.was_refused

    async def _last_queued(self, batch: BatchRecord) -> list[UUID]:
        async with self._engine.connect() as tx:
            return await read_last_queued(tx, batch)
