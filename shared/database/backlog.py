"""Say whether the queue is longer than it should get, without counting it."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Places are unique, so a lane holds at most as many transfers as there are places from its first to its last: two looks
# into queue_pkey a lane, however long the queue is. Places that were drawn and not used, and those of other lanes, make
# that more than what is queued; only where it may be too many are the rows counted, and no further than the limit.
IS_LONGER: Final = text("""
SELECT CASE WHEN stretch.places <= :limit THEN false
            ELSE (SELECT count(*) FROM (SELECT FROM queue LIMIT :limit + 1) AS counted) > :limit END
FROM (
    SELECT coalesce(sum(ends.last_position - ends.first_position + 1), 0) AS places
    FROM lanes
    CROSS JOIN LATERAL (
        SELECT min(position) AS first_position, max(position) AS last_position
        FROM queue WHERE queue.lane = lanes.lane AND position >= head_from
    ) AS ends
) AS stretch
""")


async def is_longer_than(tx: AsyncConnection, limit: int) -> bool:
    """Say whether more transfers than that are queued."""
    return bool((await tx.execute(IS_LONGER, {"limit": limit})).scalar_one())
