"""Say whether the database is the one this code works with, whether transfers get on, and what is stuck."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.claims import OWED
from shared.database.upkeep import SWEEP
from shared.domain.endpoint_health import FAILING_FROM

REVISION: Final = "0008"
"""The schema that this code works with: that of the newest migration."""

COUNTED_MAX: Final = 10_000
"""What can be many is counted no further: looking must stay cheap when all goes wrong."""

OWED_ENDPOINTS_MAX: Final = 1_000

READ_REVISION = text("SELECT version_num FROM alembic_version")

# The head of a lane is the oldest in it: one row of queue_pkey a lane. Counted up to a bound; a longer queue is told by
# its places, from the first to the last: never fewer than are queued, and of one lane hardly more.
READ_LANES = text("""
SELECT lanes.lane, stopped_at IS NOT NULL AS stopped, careful_transfers_left, last_applied_at,
       ending_counts, ending_seconds,
       CASE WHEN counted.transfers <= :counted_max THEN counted.transfers
            ELSE last.position - head.position + 1 END AS queued,
       coalesce(extract(epoch FROM clock_timestamp() - head.accepted_at), 0)::float AS oldest_seconds,
       coalesce(extract(epoch FROM clock_timestamp() - last_applied_at), 0)::float AS applied_seconds_ago
FROM lanes
LEFT JOIN LATERAL (
    SELECT position, accepted_at FROM queue
    WHERE queue.lane = lanes.lane AND position >= head_from ORDER BY queue.lane, position LIMIT 1
) AS head ON true
LEFT JOIN LATERAL (
    SELECT position FROM queue
    WHERE queue.lane = lanes.lane AND position >= head_from ORDER BY queue.lane DESC, position DESC LIMIT 1
) AS last ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS transfers FROM (
        SELECT FROM queue
        WHERE queue.lane = lanes.lane AND position >= head_from
        ORDER BY queue.lane, position LIMIT :counted_max + 1
    ) AS few
) AS counted
WHERE lanes.lane > 0
ORDER BY lanes.lane
""")

# The endpoints that something is owed to, found as in claims.py; then what is due to
# them at this moment, apart for those that answer and those that keep failing: arrears of the latter are no surprise.
# What was asked to be sent again is due since its endpoint exists, and says nothing of how long it has waited.
# Index: webhook_deliveries_due_idx.
DELIVERIES: LiteralString = (
    OWED  # noqa: S608 (constants, put together)
    + """
, open AS MATERIALIZED (
    SELECT endpoint.id, endpoint.created_at, endpoint.failures >= :failing_from AS failing
    FROM (SELECT endpoint_id FROM owed LIMIT :endpoints_max) AS few
    JOIN webhook_endpoints AS endpoint ON endpoint.id = few.endpoint_id
    WHERE endpoint.deleted_at IS NULL AND endpoint.disabled_at IS NULL
)
SELECT kind.failing,
       (SELECT count(*) FROM (
           SELECT FROM open CROSS JOIN LATERAL (
               SELECT FROM webhook_deliveries
               WHERE endpoint_id = open.id AND status = 'pending' AND next_attempt_at <= statement_timestamp()
               LIMIT :counted_max
           ) AS delivery
           WHERE open.failing = kind.failing
           LIMIT :counted_max
       ) AS few) AS due,
       (SELECT coalesce(extract(epoch FROM statement_timestamp() - min(oldest.next_attempt_at)), 0)::float
        FROM open CROSS JOIN LATERAL (
            SELECT next_attempt_at FROM webhook_deliveries
            WHERE endpoint_id = open.id AND status = 'pending'
              AND next_attempt_at > open.created_at AND next_attempt_at <= statement_timestamp()
            ORDER BY next_attempt_at
            LIMIT 1
        ) AS oldest
        WHERE open.failing = kind.failing) AS oldest_seconds
FROM (VALUES (false), (true)) AS kind (failing)
"""
)
READ_DELIVERIES = text(DELIVERIES)

# Indexes: events_unprocessable_idx, webhook_endpoints_disabled_idx, upkeep_pkey.
READ_TROUBLE = text("""
SELECT (SELECT count(*) FROM (
            SELECT FROM events WHERE failure_code = 'unprocessable' LIMIT :counted_max
        ) AS few) AS unprocessable,
       (SELECT count(*) FROM (
            SELECT FROM webhook_endpoints WHERE disabled_at IS NOT NULL AND deleted_at IS NULL LIMIT :counted_max
        ) AS few) AS endpoints_disabled,
       (SELECT done_at FROM upkeep WHERE task = :sweep) AS swept_at,
       (SELECT extract(epoch FROM clock_timestamp() - done_at)::float
        FROM upkeep WHERE task = :sweep) AS swept_seconds_ago
""")

# Ids are in order of time, and finished ones are near the end. Index: audits_pkey.
READ_LAST_AUDIT = text("""
SELECT finished_at, (report ->> 'holds')::boolean AS holds
FROM audits
WHERE finished_at IS NOT NULL
ORDER BY id DESC
LIMIT 1
""")

READ_FSYNC: LiteralString = "SHOW fsync"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """How a lane gets on.

    Attributes:
        queued: Exact up to ten thousand; beyond that it may be fewer.
        oldest_seconds: How long its head has waited; 0 if nothing waits.
        applied_seconds_ago: Since its last application; 0 if there was none.
        ending_counts: From accepted to applied, in the buckets of `shared.domain.histogram`; empty before the first.
    """

    lane: int
    stopped: bool
    careful_transfers_left: int
    last_applied_at: datetime | None
    ending_counts: Sequence[int]
    ending_seconds: float
    queued: int
    oldest_seconds: float
    applied_seconds_ago: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDeliveries:
    """What is due to endpoints of one kind: those that keep failing, or those that do not. Counted up to a bound."""

    failing: bool
    due: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAudit:
    """The audit that was asked for last, of those that are finished."""

    finished_at: datetime
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What PostgreSQL says of the system, at one moment. Counts go no further than ten thousand.

    Attributes:
        swept_seconds_ago: None if nobody has ever swept.
    """

    lanes: Sequence[LaneState]
    deliveries: Sequence[DueDeliveries]
    unprocessable: int
    endpoints_disabled: int
    swept_at: datetime | None
    swept_seconds_ago: float | None
    last_audit: LastAudit | None


async def read_revision(tx: AsyncConnection) -> str:
    """Name the schema that the database has."""
    return str((await tx.execute(READ_REVISION)).scalar_one())


async def read_lanes(tx: AsyncConnection) -> list[LaneState]:
    """Say how each lane gets on, in order."""
    return [LaneState(**row) for row in (await tx.execute(READ_LANES, {"counted_max": COUNTED_MAX})).mappings()]


async def look(tx: AsyncConnection) -> Seen:
    """Look at all that can be stuck, in a database of this revision: milliseconds, however much of it there is."""
    counted = {"counted_max": COUNTED_MAX}
    owed = {**counted, "failing_from": FAILING_FROM, "endpoints_max": OWED_ENDPOINTS_MAX}
    trouble = (await tx.execute(READ_TROUBLE, {**counted, "sweep": SWEEP})).mappings().one()
    audit = (await tx.execute(READ_LAST_AUDIT)).mappings().one_or_none()
    return Seen(
        lanes=await read_lanes(tx),
        deliveries=[DueDeliveries(**row) for row in (await tx.execute(READ_DELIVERIES, owed)).mappings()],
        last_audit=None if audit is None else LastAudit(**audit),
        **trouble,
    )


def loses_commits(connection: Connection) -> bool:
    """Say whether this PostgreSQL may lose what it said it has committed."""
    row = connection.execute(READ_FSYNC).fetchone()
    return row is not None and row[0] == "off"
