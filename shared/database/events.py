"""Read what happened to a transfer after it was accepted."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEvent:
    """One change of a transfer's status."""

    id: UUID
    type: str
    version: int
    created_at: datetime


async def list_transfer_events(tx: AsyncConnection, transfer_id: UUID) -> list[TransferEvent]:
    """List what happened to a transfer, in order. Index: events_transfer_id_version_key."""
    columns = [EVENTS.c[name] for name in ("id", "type", "version", "created_at")]
    statement = select(*columns).where(EVENTS.c.transfer_id == transfer_id).order_by(EVENTS.c.version)
    return [TransferEvent(**row) for row in (await tx.execute(statement)).mappings()]
