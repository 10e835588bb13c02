"""Find out up to which position the queue has shown all that it will ever show there.

Positions become visible out of order, so that the newest one applied says nothing of those before it. But whoever
draws from a sequence locks it (ROW EXCLUSIVE) until their transaction ends, and after that what they wrote is visible,
or never will be. So: read the sequence, see who holds its lock, and once all of these are gone, there is the horizon.
"""

from typing import LiteralString

from psycopg import Connection
from psycopg.rows import scalar_row

LAST_POSITION: LiteralString = (
    "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM transfer_position"
)

READ_HORIZON: LiteralString = "SELECT position FROM queue_horizon"

# Virtual transactions: one that has written nothing yet has no other name.
DRAWING: LiteralString = """
SELECT virtualtransaction
FROM pg_locks
WHERE locktype = 'relation' AND relation = 'transfer_position'::regclass AND mode = 'RowExclusiveLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

ADVANCE: LiteralString = "UPDATE queue_horizon SET position = %(position)s WHERE position < %(position)s"


def last_position(tx: Connection) -> int:
    """Read the last position that anybody has drawn."""
    with tx.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(LAST_POSITION).fetchone() or 0)


def read_horizon(tx: Connection) -> int:
    """Read how far the horizon has come."""
    with tx.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute(READ_HORIZON).fetchone() or 0)


def drawing(tx: Connection) -> set[str]:
    """Name the transactions that have drawn positions and have not ended."""
    with tx.cursor(row_factory=scalar_row) as cursor:
        return set(cursor.execute(DRAWING).fetchall())


def advance(tx: Connection, *, position: int) -> None:
    """Move the horizon on; back it never goes."""
    tx.execute(ADVANCE, {"position": position})
