"""Claim deliveries that are due, and record what became of each attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, scalar_row

from shared.domain.attempt import Answer

# The endpoints that something is owed to, found by stepping from one to the next in the index: a million deliveries
# that one is behind with cost no more than one. Index: webhook_deliveries_due_idx.
OWED: LiteralString = """
WITH RECURSIVE owed (endpoint_id) AS (
    (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT endpoint_id FROM webhook_deliveries
            WHERE status = 'pending' AND endpoint_id > owed.endpoint_id ORDER BY endpoint_id LIMIT 1)
    FROM owed
    WHERE owed.endpoint_id IS NOT NULL
)
"""

# Those that something is due to, or that were deleted or disabled with something pending. Indexes: the same, and
# webhook_endpoints_pkey, by LATERAL and by order as in acceptance.py.
DUE_OR_CLOSED: LiteralString = """
SELECT owed.endpoint_id,
       endpoint.deleted_at IS NOT NULL OR endpoint.disabled_at IS NOT NULL AS closed,
       endpoint.failures >= %(failing_from)s AS failing
FROM owed
CROSS JOIN LATERAL (
    SELECT deleted_at, disabled_at, failures, next_probe_at FROM webhook_endpoints WHERE id = owed.endpoint_id LIMIT 1
) AS endpoint
WHERE endpoint.deleted_at IS NOT NULL
   OR endpoint.disabled_at IS NOT NULL
   OR ((endpoint.failures < %(failing_from)s OR coalesce(endpoint.next_probe_at, '-infinity') <= statement_timestamp())
       AND (SELECT true FROM webhook_deliveries
            WHERE endpoint_id = owed.endpoint_id AND status = 'pending' AND next_attempt_at <= statement_timestamp()
            ORDER BY next_attempt_at LIMIT 1))
"""

READ_OWED: LiteralString = OWED + DUE_OR_CLOSED

# Whoever moves the time of the next probe may send one; another process that wants to finds it moved. In order of id,
# as everybody who locks several endpoints. Index: webhook_endpoints_pkey.
TAKE_PROBES: LiteralString = """
WITH due AS (
    SELECT id
    FROM webhook_endpoints
    WHERE id = ANY(%(endpoint_ids)s) AND coalesce(next_probe_at, '-infinity') <= statement_timestamp()
    ORDER BY id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE webhook_endpoints AS endpoint
SET next_probe_at = statement_timestamp() + %(lease_seconds)s * interval '1 second'
FROM due
WHERE endpoint.id = due.id
RETURNING endpoint.id
"""

# Of each endpoint the oldest, as many as there is room for; between endpoints in turns, whoever has most room first, so
# that nobody's arrears are in anybody's way. SKIP LOCKED: deliveries have no order, and what another process is
# claiming is no longer due. What is claimed is stepped over, which is at most what is in hand.
# Nobody waits for the disk: a claim that a crash of PostgreSQL takes back is made again.
# Index: webhook_deliveries_due_idx.
CLAIM: LiteralString = """
WITH unhurried AS (
    SELECT set_config('synchronous_commit', 'off', true)
), due AS (
    SELECT oldest.id
    FROM unnest(%(endpoint_ids)s::uuid[], %(rooms)s::bigint[]) AS owed (endpoint_id, room)
    CROSS JOIN LATERAL (
        SELECT id, next_attempt_at
        FROM webhook_deliveries
        WHERE endpoint_id = owed.endpoint_id AND status = 'pending' AND next_attempt_at <= statement_timestamp()
          AND (claimed_until IS NULL OR claimed_until <= statement_timestamp())
        ORDER BY next_attempt_at
        LIMIT owed.room
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS oldest
    ORDER BY row_number() OVER (PARTITION BY owed.endpoint_id ORDER BY next_attempt_at) - owed.room, next_attempt_at
    LIMIT %(limit)s
)
UPDATE webhook_deliveries AS delivery
SET claim_id = %(claim_id)s, claimed_until = statement_timestamp() + %(lease_seconds)s * interval '1 second'
FROM unhurried, due, webhook_endpoints AS endpoint
WHERE delivery.id = due.id AND endpoint.id = delivery.endpoint_id
RETURNING delivery.id, delivery.endpoint_id, delivery.event_id, delivery.body,
          delivery.attempts - delivery.earlier_attempts AS attempts, delivery.claim_id,
          endpoint.url, endpoint.secret_encrypted,
          CASE WHEN endpoint.old_secret_until > statement_timestamp()
               THEN endpoint.old_secret_encrypted END AS old_secret_encrypted,
          endpoint.failures
"""

# What was claimed and is not going to be sent is anybody's again.
RELEASE: LiteralString = """
UPDATE webhook_deliveries AS delivery
SET claim_id = NULL, claimed_until = NULL
FROM (
    SELECT delivery.id
    FROM webhook_deliveries AS delivery
    JOIN unnest(%(ids)s::uuid[], %(claim_ids)s::uuid[]) AS held (id, claim_id)
      ON held.id = delivery.id AND held.claim_id = delivery.claim_id
    ORDER BY delivery.id
    FOR NO KEY UPDATE OF delivery
) AS held
WHERE delivery.id = held.id
"""

# Only what is still pending under the claim that it was sent under: `delivered` is final, and a claim that ran out
# belongs to somebody else. Locked in order of id, since two processes may come to record the same deliveries. Index:
# webhook_deliveries_pkey, by LATERAL: what is pending is an index of its own, and read whole it grows with the arrears.
RECORD: LiteralString = """
WITH tried AS (
    SELECT id, claim_id, started_at, duration_ms, http_status, error, excerpt, delivered, wait_seconds
    FROM unnest(%(ids)s::uuid[], %(claim_ids)s::uuid[], %(starts)s::timestamptz[], %(durations)s::bigint[],
                %(http_statuses)s::smallint[], %(errors)s::text[], %(excerpts)s::text[], %(delivered)s::boolean[],
                %(waits)s::float8[])
         AS t (id, claim_id, started_at, duration_ms, http_status, error, excerpt, delivered, wait_seconds)
), held AS (
    SELECT delivery.id
    FROM (SELECT id, claim_id FROM tried ORDER BY id) AS tried
    CROSS JOIN LATERAL (
        SELECT id
        FROM webhook_deliveries
        WHERE id = tried.id AND claim_id = tried.claim_id AND status = 'pending'
        LIMIT 1
        FOR NO KEY UPDATE
    ) AS delivery
), recorded AS (
    UPDATE webhook_deliveries AS delivery
    SET attempts = delivery.attempts + 1,
        claim_id = NULL,
        claimed_until = NULL,
        status = CASE WHEN tried.delivered THEN 'delivered'
                      WHEN tried.wait_seconds IS NULL THEN 'exhausted'
                      ELSE 'pending' END,
        next_attempt_at = CASE WHEN NOT tried.delivered
                               THEN statement_timestamp() + tried.wait_seconds * interval '1 second' END,
        finished_at = CASE WHEN tried.delivered OR tried.wait_seconds IS NULL THEN statement_timestamp() END
    FROM held
    JOIN tried ON tried.id = held.id
    WHERE delivery.id = held.id
    RETURNING delivery.id, delivery.attempts
)
INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, http_status, error, answer_excerpt)
SELECT recorded.id, recorded.attempts, started_at, duration_ms, http_status, error, excerpt
FROM recorded
JOIN tried ON tried.id = recorded.id
"""

# What is owed to endpoints that were deleted or disabled, also by a lane that read them a moment before they were. What
# is being sent at this moment is left to whoever sends it. Whoever enables one waits for this: what they recover next
# is not written off behind their back. In order of id. Indexes: webhook_endpoints_pkey, webhook_deliveries_due_idx.
WRITE_OFF: LiteralString = """
WITH closed AS (
    SELECT id
    FROM webhook_endpoints
    WHERE id = ANY(%(endpoint_ids)s) AND (deleted_at IS NOT NULL OR disabled_at IS NOT NULL)
    ORDER BY id
    FOR SHARE
)
UPDATE webhook_deliveries
SET status = 'exhausted', next_attempt_at = NULL, claim_id = NULL, claimed_until = NULL,
    finished_at = statement_timestamp()
WHERE id IN (
    SELECT id
    FROM webhook_deliveries
    WHERE endpoint_id = ANY(ARRAY(SELECT id FROM closed)) AND status = 'pending'
      AND (claimed_until IS NULL OR claimed_until <= statement_timestamp())
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedEndpoint:
    """An endpoint that something is due to, or that was closed (deleted, disabled) while something was owed to it.

    Attributes:
        failing: It keeps failing, so that one delivery at a time is tried.
    """

    endpoint_id: UUID
    closed: bool
    failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """What is to be sent now, and nobody else sends while the claim lasts.

    Attributes:
        body: The bytes to send, the same at every attempt.
        attempts: How many of its present schedule were recorded before this one.
        old_secret_encrypted: Signs as well, while a rotation lasts.
        failures: Of its endpoint, since that last answered well.
    """

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    body: bytes
    attempts: int
    claim_id: UUID
    url: str
    secret_encrypted: bytes
    old_secret_encrypted: bytes | None
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was tried under a claim. `wait_seconds` says when the next attempt is due; None after the last."""

    delivery: ClaimedDelivery
    started_at: datetime
    duration_ms: int
    answer: Answer
    wait_seconds: float | None


def read_owed(connection: Connection, *, failing_from: int) -> list[OwedEndpoint]:
    """Find the endpoints that something is due to, and those that were closed with something pending.

    Args:
        failing_from: After so many failures an endpoint keeps failing: it is left out until its next probe is due.
    """
    with connection.cursor(row_factory=class_row(OwedEndpoint)) as cursor:
        return cursor.execute(READ_OWED, {"failing_from": failing_from}).fetchall()


def take_probes(connection: Connection, endpoint_ids: Sequence[UUID], *, lease_seconds: float) -> list[UUID]:
    """Choose the endpoints that may be probed by whoever asks; for the length of a lease nobody else is let."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        parameters = {"endpoint_ids": list(endpoint_ids), "lease_seconds": lease_seconds}
        return cursor.execute(TAKE_PROBES, parameters).fetchall()


def claim(
    connection: Connection, rooms: Mapping[UUID, int], *, claim_id: UUID, limit: int, lease_seconds: float
) -> list[ClaimedDelivery]:
    """Take deliveries that are due, for longer than sending them takes; whoever dies with them loses them then.

    Args:
        rooms: How many to take, at most, for each endpoint.
        claim_id: A new one for each call: what is recorded under it is recorded once.
        limit: How many to take at most of all of them together.
    """
    parameters = {
        "endpoint_ids": list(rooms.keys()),
        "rooms": list(rooms.values()),
        "claim_id": claim_id,
        "limit": limit,
        "lease_seconds": lease_seconds,
    }
    with connection.cursor(row_factory=class_row(ClaimedDelivery)) as cursor:
        return cursor.execute(CLAIM, parameters).fetchall()


def release(connection: Connection, claimed: Sequence[ClaimedDelivery]) -> None:
    """Give claims back, for others to take at once."""
    parameters = {"ids": [c.id for c in claimed], "claim_ids": [c.claim_id for c in claimed]}
    connection.execute(RELEASE, parameters)


def record(connection: Connection, attempts: Sequence[Attempt]) -> int:
    """Write down what became of attempts, and say of how many: not of those whose claim was lost."""
    return connection.execute(
        RECORD,
        {
            "ids": [attempt.delivery.id for attempt in attempts],
            "claim_ids": [attempt.delivery.claim_id for attempt in attempts],
            "starts": [attempt.started_at for attempt in attempts],
            "durations": [attempt.duration_ms for attempt in attempts],
            "http_statuses": [attempt.answer.http_status for attempt in attempts],
            "errors": [attempt.answer.error for attempt in attempts],
            "excerpts": [attempt.answer.excerpt for attempt in attempts],
            "delivered": [attempt.answer.delivered for attempt in attempts],
            "waits": [attempt.wait_seconds for attempt in attempts],
        },
    ).rowcount


def write_off(connection: Connection, endpoint_ids: Sequence[UUID], *, limit: int) -> int:
    """End what is pending for endpoints that were closed, at most so many deliveries, and say how many there were."""
    return connection.execute(WRITE_OFF, {"endpoint_ids": list(endpoint_ids), "limit": limit}).rowcount
