"""Read what an endpoint was sent or is owed, with every attempt, and owe it again."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, Select, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import EVENTS, WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES
from shared.domain.attempt import DeliveryStatus
from shared.domain.webhook import TRANSFER_SUCCEEDED

# Due since its endpoint exists, which is before everything else that is. What was finished begins a new schedule;
# what is under way is left to whoever has the claim.
RESEND: LiteralString = """
UPDATE webhook_deliveries AS delivery
SET status = 'pending', next_attempt_at = endpoint.created_at, finished_at = NULL,
    claim_id = NULL, claimed_until = NULL,
    earlier_attempts = CASE WHEN delivery.status = 'pending' THEN earlier_attempts ELSE attempts END
FROM webhook_endpoints AS endpoint
WHERE delivery.id = :id AND endpoint.id = delivery.endpoint_id
  AND (claimed_until IS NULL OR claimed_until <= statement_timestamp())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDelivery:
    """How a delivery stands. `next_attempt_at` says when the next attempt is due, if one is."""

    id: UUID
    event_id: UUID
    event_type: str
    status: str
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAttempt:
    """What was tried once: an HTTP status, or the class of the error that came instead."""

    number: int
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    answer_excerpt: str | None


# Looked up for each delivery of the page. A join may be done by reading everybody's events in order.
_event_type = select(EVENTS.c.type).where(EVENTS.c.id == WEBHOOK_DELIVERIES.c.event_id).scalar_subquery()

_DELIVERY_COLUMNS = tuple(
    _event_type.label("event_type") if field.name == "event_type" else WEBHOOK_DELIVERIES.c[field.name]
    for field in fields(SentDelivery)
)
_ATTEMPT_COLUMNS = tuple(WEBHOOK_ATTEMPTS.c[field.name] for field in fields(SentAttempt))


async def list_deliveries(
    tx: AsyncConnection,
    endpoint_id: UUID,
    *,
    owner_id: UUID,
    status: str | None,
    event_type: str | None,
    before: UUID | None,
    limit: int,
) -> list[SentDelivery]:
    """List what an endpoint is or was owed, newest first.

    Index: webhook_deliveries_endpoint_id_event_id_key; of what is pending or was given up,
    webhook_deliveries_undelivered_idx; of whatever is no success, events_rare_idx. What was delivered, and successes,
    are most of what there is: of them the endpoint's deliveries are read from the newest until the page is full.

    Args:
        owner_id: The endpoint's.
        before: The last event id of the page before.
    """
    conditions = [WEBHOOK_DELIVERIES.c.endpoint_id == endpoint_id]
    if status is not None:
        conditions.append(WEBHOOK_DELIVERIES.c.status == status)
        # Spelt out, so that a plan made for any status knows the index.
        if status != DeliveryStatus.DELIVERED:
            conditions.append(WEBHOOK_DELIVERIES.c.status != literal_column("'delivered'"))
    if event_type is not None:
        conditions.append(_is_of(event_type, owner_id=owner_id))
    if before is not None:
        conditions.append(WEBHOOK_DELIVERIES.c.event_id < before)
    statement = _deliveries(*conditions).order_by(WEBHOOK_DELIVERIES.c.event_id.desc()).limit(limit)
    return [SentDelivery(**row) for row in (await tx.execute(statement)).mappings()]


async def read_delivery(tx: AsyncConnection, delivery_id: UUID, *, endpoint_id: UUID) -> SentDelivery | None:
    """Find a delivery to an endpoint. Index: webhook_deliveries_pkey."""
    statement = _deliveries(WEBHOOK_DELIVERIES.c.id == delivery_id, WEBHOOK_DELIVERIES.c.endpoint_id == endpoint_id)
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else SentDelivery(**row)


async def list_attempts(tx: AsyncConnection, delivery_id: UUID) -> list[SentAttempt]:
    """List what was tried, from the first attempt on. Index: webhook_attempts_pkey."""
    of_it = WEBHOOK_ATTEMPTS.c.delivery_id == delivery_id
    statement = select(*_ATTEMPT_COLUMNS).where(of_it).order_by(WEBHOOK_ATTEMPTS.c.number)
    return [SentAttempt(**row) for row in (await tx.execute(statement)).mappings()]


async def resend(tx: AsyncConnection, delivery_id: UUID) -> None:
    """Owe a delivery once more, whatever became of it, unless it is being sent at this moment."""
    await tx.execute(text(RESEND), {"id": delivery_id})


def _deliveries(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*_DELIVERY_COLUMNS).where(*conditions)


def _is_of(event_type: str, *, owner_id: UUID) -> ColumnElement[bool]:
    if event_type == TRANSFER_SUCCEEDED:
        return _event_type == event_type
    # Of these nobody but the owner is told.
    rare = select(EVENTS.c.id).where(
        EVENTS.c.owner_id == owner_id,
        EVENTS.c.type == event_type,
        EVENTS.c.type != literal_column("'transfer.succeeded'"),
    )
    return WEBHOOK_DELIVERIES.c.event_id.in_(rare)
