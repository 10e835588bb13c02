"""Say whether the database is the one this code works with, and whether transfers get on."""

from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

REVISION: Final = "0006"
"""The schema that this code works with: that of the newest migration."""

READ_REVISION = text("SELECT version_num FROM alembic_version")

# The head of a lane is the oldest in it: one row of queue_pkey a lane.
READ_LANES = text("""
SELECT count(*) FILTER (WHERE stopped_at IS NOT NULL) AS stopped,
       coalesce(max(extract(epoch FROM clock_timestamp() - head.accepted_at)), 0)::float AS oldest_seconds
FROM lanes
LEFT JOIN LATERAL (
    SELECT accepted_at FROM queue WHERE queue.lane = lanes.lane ORDER BY queue.lane, position LIMIT 1
) AS head ON true
""")

READ_FSYNC: LiteralString = "SHOW fsync"


async def read_revision(tx: AsyncConnection) -> str:
    """Name the schema that the database has."""
    return str((await tx.execute(READ_REVISION)).scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """How the lanes get on: how many are stopped, and how long the transfer has waited that has waited longest."""

    stopped: int
    oldest_seconds: float


async def read_lanes(tx: AsyncConnection) -> Lanes:
    """Say how the lanes get on."""
    return Lanes(**(await tx.execute(READ_LANES)).mappings().one())


def loses_commits(connection: Connection) -> bool:
    """Say whether this PostgreSQL may lose what it said it has committed."""
    row = connection.execute(READ_FSYNC).fetchone()
    return row is not None and row[0] == "off"
