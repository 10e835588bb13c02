"""Show lanes to those who run the system, and let one that was stopped go on."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.health import LaneState, read_lanes

# Both columns: with the count as it was, the next failure would stop it again.
START_LANE: Final = text("""
UPDATE lanes SET stopped_at = NULL, unprocessable_in_a_row = 0 WHERE lane = :lane AND stopped_at IS NOT NULL
""")


async def start_lane(tx: AsyncConnection, lane: int) -> LaneState | None:
    """Let a lane go on if it was stopped, and say how it stands; None if there is no such lane."""
    await tx.execute(START_LANE, {"lane": lane})
    return next((state for state in await read_lanes(tx) if state.lane == lane), None)
