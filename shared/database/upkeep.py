"""Note when upkeep has done its work, so that others can tell when it no longer does."""

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


def note_sweep(connection: Connection) -> None:
    """Note that all lanes were looked at, unless somebody noted it a moment ago."""
    connection.execute(NOTE_DONE, {"task": SWEEP})
