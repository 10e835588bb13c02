"""Read together: whoever asks how a transfer stands while a read is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database.transfers import StandingTransfer, read_transfers

GROUP_MAX: Final = 1_000

_Asked = tuple[UUID, asyncio.Future[StandingTransfer | None]]


class Readings:
    """Reads transfers one group after the other, so that a thousand who ask at once take one connection."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Connect nowhere yet."""
        self._engine = engine
        self._asked: deque[_Asked] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def read(self, transfer_id: UUID, *, viewer_id: UUID) -> StandingTransfer | None:
        """Say how a transfer stands now, if this owner may see it. The read begins after the question."""
        answer: asyncio.Future[StandingTransfer | None] = asyncio.get_running_loop().create_future()
        self._asked.append((transfer_id, answer))
        if self._reading is None or self._reading.done():
            # In a task of its own: a caller who goes away must not take the others' answers along.
            self._reading = asyncio.create_task(self._read_all(), name="readings")
        standing = await answer
        return standing if standing and standing.is_visible_to(viewer_id) else None

    async def _read_all(self) -> None:
        while self._asked:
            group = [self._asked.popleft() for _ in range(min(GROUP_MAX, len(self._asked)))]
            try:
                await self._answer(group)
            except Exception as error:  # noqa: BLE001 (each caller is answered with it, as if they had read alone)
                for _, answer in group:
                    if not answer.done():
                        answer.set_exception(error)

    async def _answer(self, group: Sequence[_Asked]) -> None:
        async with self._engine.connect() as tx:
            found = await read_transfers(tx, {transfer_id for transfer_id, _ in group})
        for transfer_id, answer in group:
            if not answer.done():
                answer.set_result(found.get(transfer_id))
