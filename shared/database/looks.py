"""Look at lanes without taking them: whether there is work, how much, and which are forgotten."""

from typing import LiteralString

from psycopg import Connection
from psycopg.rows import scalar_row

# Unlocked: whether there is work, for one who has just left the lane. Index: queue_pkey.
HAS_WORK: LiteralString = """
SELECT lane
FROM queue
WHERE lane = %(lane)s AND position >= (
    SELECT head_from FROM lanes WHERE lane BETWEEN %(lane)s AND %(lane)s ORDER BY lane DESC LIMIT 1
)
ORDER BY lane, position
LIMIT 1
"""

# Index: queue_pkey, from its head.
COUNT_WAITING: LiteralString = """
SELECT count(*)
FROM (
    SELECT FROM queue
    WHERE lane = %(lane)s AND position >= (
        SELECT head_from FROM lanes WHERE lane BETWEEN %(lane)s AND %(lane)s ORDER BY lane DESC LIMIT 1
    )
    ORDER BY position LIMIT %(limit)s
) AS head
"""

# Lanes whose head has waited although its wake-up was sent, and that nobody is working. Only the head is looked at,
# since it is the oldest.
FORGOTTEN_LANES: LiteralString = """
SELECT lane
FROM lanes
CROSS JOIN LATERAL (
    SELECT accepted_at FROM queue WHERE queue.lane = lanes.lane AND position >= head_from ORDER BY position LIMIT 1
) AS head
WHERE stopped_at IS NULL
  AND (busy_since IS NULL OR busy_since < clock_timestamp() - %(age_seconds)s * interval '1 second')
  AND head.accepted_at < clock_timestamp() - %(age_seconds)s * interval '1 second'
ORDER BY lane
"""


def has_work(connection: Connection, lane: int) -> bool:
    """Say whether anything waits in the lane, without taking it."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(HAS_WORK, {"lane": lane}).fetchone() is not None


def count_waiting(connection: Connection, lane: int, *, limit: int) -> int:
    """Say how many transfers wait in a lane; no more than the limit are counted."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(COUNT_WAITING, {"lane": lane, "limit": limit}).fetchone() or 0


def forgotten_lanes(connection: Connection, *, age_seconds: float) -> list[int]:
    """Name the lanes whose head has waited for longer than that."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(FORGOTTEN_LANES, {"age_seconds": age_seconds}).fetchall()
