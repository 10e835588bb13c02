"""Watch the backlog, so that a queue which nobody empties is not filled without end."""

import asyncio
from typing import Final

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database.backlog import is_longer_than
from shared.telemetry import first_line

log = structlog.get_logger()

LOOK_INTERVAL_SECONDS: Final = 0.5


class Backlog:
    """Knows whether the queue of record is over its limit, as of the last look.

    Between two looks as much more may be accepted as there is time for: the limit keeps the queue from growing for
    days, not from growing by one too many.
    """

    def __init__(self, engine: AsyncEngine, *, transfers_max: int) -> None:
        """Take the queue for short until `run` has looked."""
        self._engine = engine
        self._transfers_max = transfers_max
        self._is_full = False

    def is_full(self) -> bool:
        """Say whether the queue takes nothing new for the time being."""
        return self._is_full

    async def run(self) -> None:
        """Look again and again, in a task of its own, through any trouble with PostgreSQL."""
        while True:
            try:
                async with self._engine.connect() as tx:
                    is_full = await is_longer_than(tx, self._transfers_max)
            except (SQLAlchemyError, psycopg.Error) as error:
                # What was last seen stands; whoever sends now finds out for themselves that PostgreSQL is in trouble.
                log.warning("backlog.not_read", error=first_line(error))
            else:
                if is_full != self._is_full:
                    log.warning("backlog.changed", is_full=is_full, transfers_max=self._transfers_max)
                self._is_full = is_full
            await asyncio.sleep(LOOK_INTERVAL_SECONDS)
