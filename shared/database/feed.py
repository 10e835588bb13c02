"""Read what happened to an owner's affairs, oldest first, by each lane's own numbers, so that nothing is skipped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import groupby
from typing import Any, Final, LiteralString
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import webhook

LOOKED_AT_MAX: Final = 1_000
"""Events of the owner's, of one lane, that are looked at for one page: a type may be rare among them."""

# One statement, so that a lane's last number and its events are of one snapshot. An event's number is drawn under its
# lane's lock and committed before the next is drawn: whoever has read up to a number has missed nothing below it.
# Rows are compared as a whole, in the order of the indexes events_owner_id_lane_number_idx and
# events_destination_owner_id_lane_number_idx: said column by column, an owner with many events would be looked for
# among all of the lane's, which is quick only for as long as they have some there.
READ_FEED: LiteralString = """
SELECT lanes.lane, lanes.event_number AS lane_number, looked_at.id, looked_at.number, type, transfer_id,
       failure_code, data, created_at
FROM lanes
LEFT JOIN unnest(CAST(:lanes AS smallint[]), CAST(:numbers AS bigint[])) AS after (lane, number) USING (lane)
LEFT JOIN LATERAL (
    SELECT id, number, type, transfer_id, failure_code, data, created_at FROM (
        (SELECT id, events.number, type, transfer_id, failure_code, data, created_at
         FROM events
         WHERE (owner_id, lane, events.number) > (CAST(:owner_id AS uuid), lanes.lane, coalesce(after.number, 0))
           AND (owner_id, lane) <= (CAST(:owner_id AS uuid), lanes.lane)
         ORDER BY owner_id, lane, events.number
         LIMIT :looked_at_max)
        UNION ALL
        (SELECT id, events.number, type, transfer_id, failure_code, data, created_at
         FROM events
         WHERE (destination_owner_id, lane, events.number)
               > (CAST(:owner_id AS uuid), lanes.lane, coalesce(after.number, 0))
           AND (destination_owner_id, lane) <= (CAST(:owner_id AS uuid), lanes.lane)
           AND destination_owner_id IS NOT NULL
         ORDER BY destination_owner_id, lane, events.number
         LIMIT :looked_at_max)
    ) AS of_both
    ORDER BY number
    LIMIT :looked_at_max
) AS looked_at ON true
ORDER BY lanes.lane, looked_at.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One thing that happened: to a transfer, or to something of the owner's that `data` tells of."""

    id: UUID
    type: str
    transfer_id: UUID | None
    failure_code: str | None
    data: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page of a feed.

    Attributes:
        numbers: How far each lane has been dealt with, as its last number: the next page begins after it.
        has_more: There may be more at once. A page can be short, or empty, and have more behind it all the same.
    """

    events: list[FeedEvent]
    numbers: dict[int, int]
    has_more: bool


async def read_feed(
    tx: AsyncConnection, owner_id: UUID, *, after: Mapping[int, int], types: Collection[str] | None, limit: int
) -> FeedPage:
    """Read what an owner is told: of each lane in the order of its numbers, between lanes by time.

    Args:
        after: The numbers of the page before; none for a lane that it did not know.
        types: Which events are wanted, or None for all that a feed tells.
    """
    looked_at_max = LOOKED_AT_MAX if types else limit + 1
    wanted_types = types or webhook.FEED_TYPES
    arguments = {
        "owner_id": owner_id,
        "lanes": list(after.keys()),
        "numbers": list(after.values()),
        "looked_at_max": looked_at_max,
    }
    rows = (await tx.execute(text(READ_FEED), arguments)).mappings().all()
    by_lane = {lane: list(of_lane) for lane, of_lane in groupby(rows, key=lambda row: int(row["lane"]))}
    wanted = sorted(
        (row for row in rows if row["type"] in wanted_types),
        key=lambda row: (row["created_at"], row["lane"], row["number"]),
    )
    left = {row["lane"]: row["number"] for row in reversed(wanted[limit:])}
    is_cut = {lane: len(of_lane) == looked_at_max for lane, of_lane in by_lane.items()}
    # Everything was looked at up to the lane's end, unless there was too much of it.
    ends = {lane: rows[-1]["number" if is_cut[lane] else "lane_number"] for lane, rows in by_lane.items()}
    return FeedPage(
        events=[_event(row) for row in wanted[:limit]],
        # Up to what is left over, or else up to where was looked.
        numbers={lane: left[lane] - 1 if lane in left else end for lane, end in ends.items()},
        has_more=bool(left) or any(is_cut.values()),
    )


def _event(row: RowMapping) -> FeedEvent:
    return FeedEvent(**{field.name: row[field.name] for field in fields(FeedEvent)})
