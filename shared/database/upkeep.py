"""Note when upkeep has done its work, so that others can tell; and end whoever holds a lane and says nothing."""

from typing import Final, LiteralString

from psycopg import Connection

SWEEP: Final = "sweep"

# Not at each of two sweeps a second, so that an idle system does not write all day. Nobody waits for the disk.
NOTE_DONE: LiteralString = """
WITH unhurried AS (
    SELECT set_config('synchronous_commit', 'off', true)
)
UPDATE upkeep SET done_at = clock_timestamp()
FROM unhurried
WHERE task = %(task)s AND (done_at IS NULL OR done_at < clock_timestamp() - interval '5 s')
"""

# Whoever has begun to send rows is waited for without limit: PostgreSQL looks at no timeout of its own in the middle of
# a COPY (15 to 18). A worker that is frozen there, or cut off behind somebody who acknowledges in its name, would hold
# its lane for ever. Materialized, so that nobody is ended who was not chosen before.
END_SILENT: LiteralString = """
WITH silent AS MATERIALIZED (
    SELECT pid
    FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'hishab-%%'
      AND state = 'active' AND wait_event = 'ClientRead'
      AND state_change < clock_timestamp() - %(seconds)s * interval '1 second'
)
SELECT pid FROM silent WHERE pg_terminate_backend(pid)
"""


def note_sweep(connection: Connection) -> None:
    """Note that all lanes were looked at, unless somebody noted it a moment ago."""
    connection.execute(NOTE_DONE, {"task": SWEEP})


def end_silent(connection: Connection, *, seconds: float) -> int:
    """End the connections of ours that have kept PostgreSQL waiting for rows so long; say how many these were."""
    return len(connection.execute(END_SILENT, {"seconds": seconds}).fetchall())
