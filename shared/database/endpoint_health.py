"""Note how endpoints fare, and disable those that are given up: for the worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, tuple_row
from psycopg.types.json import Json

# In order of id, as everybody who locks several endpoints. Index: webhook_endpoints_pkey.
NOTE: LiteralString = """
WITH seen AS (
    SELECT endpoint.id, t.answered, t.first_failed_at, least(endpoint.failures + t.failed, 1000000000) AS failures
    FROM webhook_endpoints AS endpoint
    JOIN unnest(%(ids)s::uuid[], %(answered)s::boolean[], %(failed)s::integer[], %(first_failed_at)s::timestamptz[])
         AS t (id, answered, failed, first_failed_at) ON t.id = endpoint.id
    ORDER BY endpoint.id
    FOR NO KEY UPDATE OF endpoint
)
UPDATE webhook_endpoints AS endpoint
SET failures = CASE WHEN seen.answered THEN 0 ELSE seen.failures END,
    failing_since = CASE WHEN NOT seen.answered THEN coalesce(endpoint.failing_since, seen.first_failed_at) END,
    next_probe_at = CASE WHEN NOT seen.answered AND seen.failures >= %(failing_from)s
                         THEN statement_timestamp() + %(probe_seconds)s * interval '1 second' END
FROM seen
WHERE endpoint.id = seen.id
"""

# One that listens elsewhere by now than where nobody wanted anything is not gone. Index: webhook_endpoints_pkey.
DISABLE: LiteralString = """
WITH given_up AS (
    SELECT endpoint.id, gone.url IS NOT NULL AS is_gone
    FROM webhook_endpoints AS endpoint
    LEFT JOIN unnest(%(gone_ids)s::uuid[], %(gone_urls)s::text[]) AS gone (id, url)
           ON gone.id = endpoint.id AND gone.url = endpoint.url
    WHERE endpoint.id = ANY(%(ids)s) AND endpoint.disabled_at IS NULL AND endpoint.deleted_at IS NULL
      AND (gone.url IS NOT NULL
           OR (endpoint.failures >= %(failures_min)s
               AND endpoint.failing_since <= statement_timestamp() - %(after_seconds)s * interval '1 second'))
    ORDER BY endpoint.id
    FOR NO KEY UPDATE OF endpoint
)
UPDATE webhook_endpoints AS endpoint
SET disabled_at = statement_timestamp(), disabled_reason = CASE WHEN is_gone THEN 'gone' ELSE 'failing' END
FROM given_up
WHERE endpoint.id = given_up.id
RETURNING endpoint.id, endpoint.owner_id, endpoint.url, endpoint.disabled_at AS at, endpoint.disabled_reason AS reason
"""

# Lane 0 numbers what is no transfer's; its lock keeps numbers in order of commit, and its clock never goes back.
TAKE_NUMBER: LiteralString = """
UPDATE lanes
SET event_number = event_number + 1, last_applied_at = greatest(last_applied_at, clock_timestamp())
WHERE lane = 0
RETURNING event_number, last_applied_at
"""

INSERT_EVENT: LiteralString = """
INSERT INTO events (id, lane, number, type, created_at, owner_id, endpoint_id, data)
VALUES (%(id)s, 0, %(number)s, %(type)s, %(created_at)s, %(owner_id)s, %(endpoint_id)s, %(data)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How an endpoint fared in some attempts: whether it answered one of them well, and how many failed."""

    endpoint_id: UUID
    answered: bool
    failed: int
    first_failed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisabledEndpoint:
    """One that was disabled just now."""

    id: UUID
    owner_id: UUID
    url: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointEvent:
    """One thing that happened to an endpoint, as it is written down."""

    id: UUID
    number: int
    type: str
    created_at: datetime
    owner_id: UUID
    endpoint_id: UUID
    data: dict[str, Any]


def note(tx: Connection, seen: Sequence[Seen], *, failing_from: int, probe_seconds: float) -> None:
    """Count failures since an endpoint last answered well.

    Args:
        failing_from: From so many on it is only probed.
        probe_seconds: When the next probe is due.
    """
    parameters = {
        "ids": [one.endpoint_id for one in seen],
        "answered": [one.answered for one in seen],
        "failed": [one.failed for one in seen],
        "first_failed_at": [one.first_failed_at for one in seen],
        "failing_from": failing_from,
        "probe_seconds": probe_seconds,
    }
    tx.execute(NOTE, parameters)


def disable(
    tx: Connection,
    endpoint_ids: Sequence[UUID],
    *,
    gone: Sequence[tuple[UUID, str]],
    failures_min: int,
    after_seconds: float,
) -> list[DisabledEndpoint]:
    """Disable those of some endpoints that are gone or have given nothing but failures, and return them, once.

    Args:
        gone: Those that want nothing more, and at which URL they said so.
        failures_min: At least so many failures,
        after_seconds: and the first of them so long ago.
    """
    parameters = {
        "ids": list(endpoint_ids),
        "gone_ids": [endpoint_id for endpoint_id, _ in gone],
        "gone_urls": [url for _, url in gone],
        "failures_min": failures_min,
        "after_seconds": after_seconds,
    }
    with tx.cursor(row_factory=class_row(DisabledEndpoint)) as cursor:
        return cursor.execute(DISABLE, parameters).fetchall()


def take_number(tx: Connection) -> tuple[int, datetime]:
    """Take the next number of an event that is no transfer's, until the transaction ends; say also what time it is."""
    with tx.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(TAKE_NUMBER).fetchone()
    assert row is not None, "lane 0 is made with the tables"
    return row


def write_event(tx: Connection, event: EndpointEvent) -> None:
    """Write down what happened to an endpoint."""
    parameters = {
        "id": event.id,
        "number": event.number,
        "type": event.type,
        "created_at": event.created_at,
        "owner_id": event.owner_id,
        "endpoint_id": event.endpoint_id,
        "data": Json(event.data),
    }
    tx.execute(INSERT_EVENT, parameters)
