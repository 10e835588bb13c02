"""Learn that transfers have ended, and how, for those who wait for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from shared.domain.transfer import Ending, FailureCode

LISTEN: LiteralString = "LISTEN hishab_applied"

# Index: events_transfer_id_version_key.
READ_ENDED: LiteralString = """
SELECT transfer_id, id, failure_code, created_at
FROM events
WHERE transfer_id = ANY(%(ids)s) AND version = 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTransfer:
    """How a transfer ended, and the event that says so."""

    transfer_id: UUID
    event_id: UUID
    ending: Ending


async def listen(connection: AsyncConnection) -> None:
    """Begin to be told of every batch that is applied."""
    await connection.execute(LISTEN)


async def next_notification(connection: AsyncConnection, *, seconds_max: float) -> None:
    """Wait until a batch is applied, or so many seconds have passed; one that was applied meanwhile counts."""
    async for _ in connection.notifies(timeout=seconds_max, stop_after=1):
        pass


async def read_ended(connection: AsyncConnection, transfer_ids: Sequence[UUID]) -> list[EndedTransfer]:
    """Say which of these transfers have ended, and how."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(READ_ENDED, {"ids": transfer_ids})
        return [
            EndedTransfer(
                transfer_id=transfer_id,
                event_id=event_id,
                ending=Ending(failure_code=FailureCode(code) if code else None, at=ended_at),
            )
            for transfer_id, event_id, code, ended_at in await cursor.fetchall()
        ]
