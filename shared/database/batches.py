"""Read batches as their owners may see them: how many of their transfers have ended, and which are still queued."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal_column, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import EVENTS, LANES, QUEUE, TRANSFER_BATCHES, TRANSFERS
from shared.domain.batch import StandingBatch
from shared.domain.transfer import ENDED_VERSION
from shared.domain.webhook import TRANSFER_FAILED, TRANSFER_SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch that was accepted, and the stretch of its owner's transfers in which its own are. Never changes."""

    id: UUID
    owner_id: UUID
    first_position: int
    last_position: int
    total: int
    created_at: datetime


async def read_batch(tx: AsyncConnection, batch_id: UUID, *, owner_id: UUID) -> BatchRecord | None:
    """Find a batch, if it is this owner's."""
    columns = [TRANSFER_BATCHES.c[name] for name in BatchRecord.__dataclass_fields__]
    statement = select(*columns).where(TRANSFER_BATCHES.c.id == batch_id, TRANSFER_BATCHES.c.owner_id == owner_id)
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else BatchRecord(**row)


async def read_standing(tx: AsyncConnection, batch: BatchRecord) -> StandingBatch:
    """Count how a batch's transfers have ended.

    Indexes: transfers_owner_id_position_key, events_transfer_id_version_key for each. A thousand looks: nothing to do
    for everybody who waits each time that something is applied (`read_last_queued` is).
    """
    ended = (
        select(EVENTS.c.type, EVENTS.c.created_at)
        .where(EVENTS.c.transfer_id == TRANSFERS.c.id, EVENTS.c.version == ENDED_VERSION)
        .limit(literal_column("1"))
        .lateral("ended")
    )
    statement = (
        select(
            func.count().filter(ended.c.type == TRANSFER_SUCCEEDED).label("succeeded"),
            func.count().filter(ended.c.type == TRANSFER_FAILED).label("failed"),
            func.max(ended.c.created_at).label("last_ended_at"),
        )
        .select_from(TRANSFERS.join(ended, true()))
        .where(of_batch(batch))
    )
    counted = (await tx.execute(statement)).mappings().one()
    return StandingBatch(id=batch.id, total=batch.total, created_at=batch.created_at, **counted)


async def read_last_queued(tx: AsyncConnection, batch: BatchRecord) -> list[UUID]:
    """Name the last transfer of a batch that is queued in each lane: once these have ended, all of it has.

    For a lane applies in order, and a batch enters the queue in one commit. Index: queue_pkey, from the batch's end.
    """
    last = (
        select(QUEUE.c.transfer_id)
        .select_from(QUEUE.join(TRANSFERS, TRANSFERS.c.id == QUEUE.c.transfer_id))
        .where(
            QUEUE.c.lane == LANES.c.lane,
            QUEUE.c.position.between(batch.first_position, batch.last_position),
            TRANSFERS.c.batch_id == batch.id,
        )
        .order_by(QUEUE.c.position.desc())
        .limit(literal_column("1"))
        .lateral("last")
    )
    statement = select(last.c.transfer_id).select_from(LANES.join(last, true()))
    return list((await tx.execute(statement)).scalars())


def of_batch(batch: BatchRecord) -> ColumnElement[bool]:
    """Say in SQL that a transfer is a batch's. Index: transfers_owner_id_position_key."""
    return and_(
        TRANSFERS.c.owner_id == batch.owner_id,
        TRANSFERS.c.position.between(batch.first_position, batch.last_position),
        TRANSFERS.c.batch_id == batch.id,
    )
