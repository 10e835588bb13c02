"""Keep the endpoints that listen: who they are, what they ask for, how they fare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, func, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import WEBHOOK_ENDPOINTS
from shared.domain.webhook import DisabledReason

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

# The secret of before signs as well, for a while; one that was still doing so from an earlier rotation ends now.
ROTATE: LiteralString = """
UPDATE webhook_endpoints
SET secret_encrypted = :secret_encrypted,
    old_secret_encrypted = CASE WHEN :grace_seconds > 0 THEN secret_encrypted END,
    old_secret_until = CASE WHEN :grace_seconds > 0
                            THEN statement_timestamp() + :grace_seconds * interval '1 second' END
WHERE id = :id AND deleted_at IS NULL
RETURNING coalesce(old_secret_until, statement_timestamp())
"""

# What is due is counted up to a bound: of one that is a million behind it is enough to know that. The oldest is the
# first in the index, as is nothing. Indexes: webhook_deliveries_due_idx, webhook_endpoints_pkey.
READ_DUE: LiteralString = """
SELECT endpoint.id, counted.due, counted.oldest_due_at
FROM unnest(CAST(:ids AS uuid[])) AS endpoint (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS due, min(next_attempt_at) AS oldest_due_at
    FROM (
        SELECT next_attempt_at
        FROM webhook_deliveries
        WHERE endpoint_id = endpoint.id AND status = 'pending' AND next_attempt_at <= statement_timestamp()
        ORDER BY next_attempt_at
        LIMIT :limit
    ) AS oldest
) AS counted
"""

DUE_COUNTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Who listens, and to what; no event types means all of them.

    Attributes:
        failures: Since it last answered well; `failing_since` is when the first of them was.
    """

    id: UUID
    owner_id: UUID
    url: str
    description: str | None
    event_types: list[str] | None
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failures: int = 0
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is due to an endpoint, counted up to a bound, and since when the oldest of it is."""

    count: int = 0
    oldest_at: datetime | None = None


_COLUMNS = tuple(WEBHOOK_ENDPOINTS.c[field.name] for field in fields(WebhookEndpoint))
_LIVES = WEBHOOK_ENDPOINTS.c.deleted_at.is_(None)

# Whoever enables an endpoint, or has it listen elsewhere, gives it a new chance.
_NEW_CHANCE: Final[Mapping[str, Any]] = {"failures": 0, "failing_since": null(), "next_probe_at": null()}


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
    tx: AsyncConnection, owner_id: UUID | None, *, before: UUID | None, limit: int
) -> list[WebhookEndpoint]:
    """List endpoints, newest first. Index: webhook_endpoints_owner_id_idx; for everybody's, webhook_endpoints_pkey.

    Args:
        owner_id: Whose; None for everybody's.
        before: The last id of the page before.
    """
    conditions: list[ColumnElement[bool]] = [_LIVES]
    if owner_id is not None:
        conditions.append(WEBHOOK_ENDPOINTS.c.owner_id == owner_id)
    if before is not None:
        conditions.append(WEBHOOK_ENDPOINTS.c.id < before)
    statement = select(*_COLUMNS).where(*conditions).order_by(WEBHOOK_ENDPOINTS.c.id.desc()).limit(limit)
    return [WebhookEndpoint(**row) for row in (await tx.execute(statement)).mappings()]


async def read_endpoint(tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID | None) -> WebhookEndpoint | None:
    """Find an endpoint, if it is this owner's (None: whoever's) and was not deleted."""
    statement = select(*_COLUMNS).where(*_is_theirs(endpoint_id, owner_id))
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else WebhookEndpoint(**row)


async def change_endpoint(
    tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID, changes: Mapping[str, object]
) -> WebhookEndpoint | None:
    """Change what an endpoint is or listens to, and return it as it then is, or None if there is none.

    Args:
        changes: By column; `enabled` stands for those that say since when and why it is not.
    """
    values = {name: value for name, value in changes.items() if name != "enabled"}
    if "url" in values or changes.get("enabled"):
        values |= _NEW_CHANCE
    match changes.get("enabled"):
        case True:
            values |= {"disabled_at": null(), "disabled_reason": null()}
        case False:
            # One that is disabled already stays so since when and why it was.
            values["disabled_at"] = func.coalesce(WEBHOOK_ENDPOINTS.c.disabled_at, func.statement_timestamp())
            values["disabled_reason"] = func.coalesce(WEBHOOK_ENDPOINTS.c.disabled_reason, DisabledReason.OWNER)
        case _:
            pass
    if not values:
        return await read_endpoint(tx, endpoint_id, owner_id=owner_id)
    statement = (
        update(WEBHOOK_ENDPOINTS).where(*_is_theirs(endpoint_id, owner_id)).values(**values).returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else WebhookEndpoint(**row)


async def rotate_secret(
    tx: AsyncConnection, endpoint_id: UUID, *, secret_encrypted: bytes, grace_seconds: int
) -> datetime:
    """Sign with a new secret from now on, and return until when the one of before signs as well."""
    arguments = {"id": endpoint_id, "secret_encrypted": secret_encrypted, "grace_seconds": grace_seconds}
    return (await tx.execute(text(ROTATE), arguments)).scalar_one()


async def probe_at_once(tx: AsyncConnection, endpoint_id: UUID) -> None:
    """Let an endpoint that keeps failing be tried again without waiting for its next turn."""
    statement = update(WEBHOOK_ENDPOINTS).where(
        WEBHOOK_ENDPOINTS.c.id == endpoint_id, WEBHOOK_ENDPOINTS.c.next_probe_at.is_not(None)
    )
    await tx.execute(statement.values(next_probe_at=null()))


async def delete_endpoint(tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID) -> bool:
    """Mark an endpoint deleted, and say whether there was one; the worker writes off what is still owed to it."""
    statement = (
        update(WEBHOOK_ENDPOINTS)
        .where(*_is_theirs(endpoint_id, owner_id))
        .values(deleted_at=func.statement_timestamp())
    )
    return (await tx.execute(statement)).rowcount > 0


async def read_due(tx: AsyncConnection, endpoint_ids: Sequence[UUID]) -> dict[UUID, Due]:
    """Count what is due to each endpoint at this moment."""
    rows = await tx.execute(text(READ_DUE), {"ids": list(endpoint_ids), "limit": DUE_COUNTED_MAX})
    return {endpoint_id: Due(count=count, oldest_at=oldest_at) for endpoint_id, count, oldest_at in rows}


def _is_theirs(endpoint_id: UUID, owner_id: UUID | None) -> list[ColumnElement[bool]]:
    owned = [] if owner_id is None else [WEBHOOK_ENDPOINTS.c.owner_id == owner_id]
    return [WEBHOOK_ENDPOINTS.c.id == endpoint_id, _LIVES, *owned]
