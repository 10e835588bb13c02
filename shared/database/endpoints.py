"""Keep the endpoints that listen, and read what they were sent."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import EVENTS, WEBHOOK_ATTEMPTS, WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS

# One at a time an owner, until the transaction ends: the second of two that race for the last place sees the first.
LOCK_PLACES: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended(:owner_id, 0))"

# Takes the first place that is free, if one is. Index: webhook_endpoints_owner_id_place_key, which holds the limit.
INSERT_ENDPOINT: LiteralString = """
INSERT INTO webhook_endpoints (id, owner_id, url, description, event_types, secret_encrypted, place, created_at)
SELECT CAST(:id AS uuid), CAST(:owner_id AS uuid), CAST(:url AS text), CAST(:description AS text),
       CAST(:event_types AS text[]), CAST(:secret_encrypted AS bytea), place, statement_timestamp()
FROM generate_series(1, 10) AS place
WHERE NOT EXISTS (
    SELECT FROM webhook_endpoints AS taken
    WHERE taken.owner_id = CAST(:owner_id AS uuid) AND taken.place = place.place AND taken.deleted_at IS NULL
)
ORDER BY place
LIMIT 1
RETURNING created_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Who listens, and to what; no event types means all of them."""

    id: UUID
    owner_id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDelivery:
    """How a delivery stands. `next_attempt_at` says when the next attempt is due, if one is."""

    id: UUID
    event_id: UUID
    event_type: str
    status: str
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAttempt:
    """What was tried once: an HTTP status, or the class of the error that came instead."""

    delivery_id: UUID
    number: int
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None


_ENDPOINT_COLUMNS = tuple(WEBHOOK_ENDPOINTS.c[field.name] for field in fields(WebhookEndpoint))
_DELIVERY_COLUMNS = tuple(
    EVENTS.c.type.label("event_type") if field.name == "event_type" else WEBHOOK_DELIVERIES.c[field.name]
    for field in fields(SentDelivery)
)
_ATTEMPT_COLUMNS = tuple(WEBHOOK_ATTEMPTS.c[field.name] for field in fields(SentAttempt))


async def add_endpoint(
    tx: AsyncConnection,
    endpoint_id: UUID,
    *,
    owner_id: UUID,
    url: str,
    description: str | None,
    event_types: Sequence[str] | None,
    secret_encrypted: bytes,
) -> WebhookEndpoint | None:
    """Write down who listens from now on, or return None if the owner has no place left."""
    await tx.execute(text(LOCK_PLACES), {"owner_id": str(owner_id)})
    listed = None if event_types is None else list(event_types)
    arguments = {
        "id": endpoint_id,
        "owner_id": str(owner_id),
        "url": url,
        "description": description,
        "event_types": listed,
        "secret_encrypted": secret_encrypted,
    }
    created_at = (await tx.execute(text(INSERT_ENDPOINT), arguments)).scalar_one_or_none()
    if created_at is None:
        return None
    return WebhookEndpoint(
        id=endpoint_id,
        owner_id=owner_id,
        url=url,
        description=description,
        event_types=listed,
        created_at=created_at,
    )


async def list_endpoints(
    tx: AsyncConnection, owner_id: UUID, *, before: UUID | None, limit: int
) -> list[WebhookEndpoint]:
    """List an owner's endpoints, newest first. Index: webhook_endpoints_owner_id_idx.

    Args:
        before: The last id of the page before.
    """
    conditions = [_is_theirs(owner_id)]
    if before is not None:
        conditions.append(WEBHOOK_ENDPOINTS.c.id < before)
    statement = select(*_ENDPOINT_COLUMNS).where(*conditions).order_by(WEBHOOK_ENDPOINTS.c.id.desc()).limit(limit)
    return [WebhookEndpoint(**row) for row in (await tx.execute(statement)).mappings()]


async def read_endpoint(tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID) -> WebhookEndpoint | None:
    """Find an endpoint, if it is this owner's and was not deleted."""
    statement = select(*_ENDPOINT_COLUMNS).where(WEBHOOK_ENDPOINTS.c.id == endpoint_id, _is_theirs(owner_id))
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else WebhookEndpoint(**row)


async def delete_endpoint(tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID) -> bool:
    """Mark an endpoint deleted, and say whether there was one; the worker writes off what is still owed to it."""
    statement = (
        update(WEBHOOK_ENDPOINTS)
        .where(WEBHOOK_ENDPOINTS.c.id == endpoint_id, _is_theirs(owner_id))
        .values(deleted_at=func.statement_timestamp())
    )
    return (await tx.execute(statement)).rowcount > 0


async def list_deliveries(
    tx: AsyncConnection, endpoint_id: UUID, *, before: UUID | None, limit: int
) -> list[SentDelivery]:
    """List what an endpoint is or was owed, newest first. Index: webhook_deliveries_endpoint_id_event_id_key.

    Args:
        before: The last event id of the page before.
    """
    conditions = [WEBHOOK_DELIVERIES.c.endpoint_id == endpoint_id]
    if before is not None:
        conditions.append(WEBHOOK_DELIVERIES.c.event_id < before)
    statement = (
        select(*_DELIVERY_COLUMNS)
        .select_from(WEBHOOK_DELIVERIES.join(EVENTS))
        .where(*conditions)
        .order_by(WEBHOOK_DELIVERIES.c.event_id.desc())
        .limit(limit)
    )
    return [SentDelivery(**row) for row in (await tx.execute(statement)).mappings()]


async def list_attempts(tx: AsyncConnection, delivery_ids: Sequence[UUID]) -> list[SentAttempt]:
    """List what was tried for some deliveries, each from its first attempt on. Index: webhook_attempts_pkey."""
    of_them = WEBHOOK_ATTEMPTS.c.delivery_id.in_(delivery_ids)
    statement = select(*_ATTEMPT_COLUMNS).where(of_them).order_by(WEBHOOK_ATTEMPTS.c.number)
    return [SentAttempt(**row) for row in (await tx.execute(statement)).mappings()]


def _is_theirs(owner_id: UUID) -> ColumnElement[bool]:
    return and_(WEBHOOK_ENDPOINTS.c.owner_id == owner_id, WEBHOOK_ENDPOINTS.c.deleted_at.is_(None))
