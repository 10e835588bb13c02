"""Say whether the database is the one this code works with, and whether transfers get on."""

from typing import Final, LiteralString

from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

REVISION: Final = "0001"
"""The schema that this code works with: that of the newest migration."""

READ_REVISION = text("SELECT version_num FROM alembic_version")

# The head of a lane is the oldest in it: one row of queue_pkey a lane.
READ_OLDEST_SECONDS = text("""
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - head.accepted_at)), 0)
FROM lanes
CROSS JOIN LATERAL (SELECT accepted_at FROM queue WHERE queue.lane = lanes.lane ORDER BY position LIMIT 1) AS head
""")

READ_FSYNC: LiteralString = "SHOW fsync"


async def read_revision(tx: AsyncConnection) -> str:
    """Name the schema that the database has."""
    return str((await tx.execute(READ_REVISION)).scalar_one())


async def read_oldest_seconds(tx: AsyncConnection) -> float:
    """Say how long the transfer that has waited longest has waited."""
    return float((await tx.execute(READ_OLDEST_SECONDS)).scalar_one())


def loses_commits(connection: Connection) -> bool:
    """Say whether this PostgreSQL may lose what it said it has committed."""
    row = connection.execute(READ_FSYNC).fetchone()
    return row is not None and row[0] == "off"
