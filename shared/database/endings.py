"""Learn that transfers have ended, for those who wait for it."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

LISTEN: LiteralString = "LISTEN hishab_applied"

# Index: events_transfer_id_version_key.
READ_ENDED: LiteralString = "SELECT transfer_id FROM events WHERE transfer_id = ANY(%(ids)s) AND version = 2"


async def listen(connection: AsyncConnection) -> None:
    """Begin to be told of every batch that is applied."""
    await connection.execute(LISTEN)


async def next_notification(connection: AsyncConnection, *, seconds_max: float) -> None:
    """Wait until a batch is applied, or so many seconds have passed."""
    async for _ in connection.notifies(timeout=seconds_max, stop_after=1):
        pass


async def read_ended(connection: AsyncConnection, transfer_ids: Sequence[UUID]) -> list[UUID]:
    """Say which of these transfers have ended."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        return await (await cursor.execute(READ_ENDED, {"ids": transfer_ids})).fetchall()
