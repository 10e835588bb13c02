"""Look at the system through PostgreSQL for everybody who asks at once, within a time limit, however often they ask."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database.health import REVISION, Seen, look, read_revision
from shared.telemetry import first_line

log = structlog.get_logger()

LOOK_SECONDS_MAX: Final = 2.0

FRESH_SECONDS: Final = 0.5
"""Whoever asks again within that is told the same: nobody's asking keeps PostgreSQL busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look came to.

    Attributes:
        revision: Of the database's schema; None if PostgreSQL did not answer.
        seen: None as well if the schema is not ours.
    """

    revision: str | None = None
    seen: Seen | None = None


class Looks:
    """Shares one look among all who ask meanwhile, and for a moment after."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Have looked at nothing yet."""
        self._engine = engine
        self._looking: asyncio.Task[Look] | None = None
        self._ended_seconds = 0.0

    async def latest(self) -> Look:
        """Say how things are, or were half a second ago."""
        looking = self._looking
        if looking is None or (looking.done() and self._now_seconds() - self._ended_seconds > FRESH_SECONDS):
            looking = self._looking = asyncio.create_task(self._look())
            looking.add_done_callback(self._note_end)
        # Not a time limit that cancels: a frozen server would keep the cancelling waiting too.
        await asyncio.wait({looking}, timeout=LOOK_SECONDS_MAX)
        if not looking.done():
            looking.cancel()
            if self._looking is looking:
                self._looking = None
            return Look()
        return Look() if looking.cancelled() else looking.result()

    async def _look(self) -> Look:
        try:
            async with self._engine.connect() as tx:
                revision = await read_revision(tx)
                return Look(revision=revision, seen=await look(tx) if revision == REVISION else None)
        except (SQLAlchemyError, OSError) as error:
            log.warning("look.failed", error=first_line(error))
            return Look()

    def _note_end(self, _: asyncio.Task[Look]) -> None:
        self._ended_seconds = self._now_seconds()

    @staticmethod
    def _now_seconds() -> float:
        return asyncio.get_running_loop().time()
