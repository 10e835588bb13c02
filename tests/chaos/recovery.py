"""Wait until a broken system does its work again: something accepted from now on has ended."""

from contextlib import suppress

import psycopg
from psycopg.rows import dict_row

from shared import clock
from tests.chaos.world import World

LOOK_SECONDS = 0.2

READ_POSITIONS = """
SELECT (SELECT coalesce(max(position), 0) FROM transfers), (SELECT max(newest_position) FROM lanes)
"""

READ_SESSIONS = """
SELECT application_name, state, wait_event, round(extract(epoch FROM clock_timestamp() - state_change)) AS seconds,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 60) AS query
FROM pg_stat_activity
WHERE application_name LIKE 'hishab-%%' AND state <> 'idle'
"""
READ_LANES = """
SELECT lane, busy_since, stopped_at, careful_transfers_left, newest_position,
       (SELECT count(*) FROM queue WHERE queue.lane = lanes.lane) AS queued
FROM lanes
"""


def await_recovery(world: World, *, seconds_max: float) -> float | None:
    """Wait until a transfer that is accepted from now on has ended; say how long that took, if one has.

    None has when it took too long, or the system itself has ended.
    """
    last: int | None = None
    began_seconds = clock.monotonic_seconds()
    while (spent_seconds := clock.monotonic_seconds() - began_seconds) < seconds_max and not world.system.has_ended():
        with suppress(psycopg.OperationalError), world.database() as connection:
            accepted, ended = connection.execute(READ_POSITIONS).fetchone() or (0, 0)
            last = int(accepted) if last is None else last
            if int(ended) > last:
                return spent_seconds
        world.pause(LOOK_SECONDS)
    return None


def standing(world: World) -> str:
    """Say how lanes and sessions stand, for whoever wants to know why nothing ends."""
    with (
        suppress(psycopg.OperationalError),
        world.database() as connection,
        connection.cursor(row_factory=dict_row) as rows,
    ):
        return str([*rows.execute(READ_LANES).fetchall(), *rows.execute(READ_SESSIONS).fetchall()])
    return "PostgreSQL is away"
