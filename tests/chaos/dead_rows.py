"""Say what autovacuum leaves of the dead rows of the tables that are worked most, once nobody works on them (I11).

Nobody asks for a VACUUM, which would not show that autovacuum comes by itself; only its looks are made more frequent
than one a minute. All rows are counted anew before: a server that crashed has forgotten how many are dead.
"""

from collections.abc import Mapping
from typing import LiteralString

import psycopg

from shared import clock
from tests.chaos.world import World

TABLES = ("lanes", "queue", "queue_horizon", "upkeep", "wallets", "webhook_deliveries", "webhook_endpoints")

DEAD_ROWS_MAX = 50
DEAD_SHARE_MAX = 0.2
"""What autovacuum leaves by default (`autovacuum_vacuum_threshold`, `_scale_factor`); our own settings are stricter."""

GONE_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.2

LOOK_OFTEN: LiteralString = "ALTER SYSTEM SET autovacuum_naptime = '1s'"
TELL: LiteralString = "SELECT pg_reload_conf()"
COUNT_ANEW: LiteralString = "ANALYZE"

COUNT: LiteralString = """
SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables WHERE relname = ANY(%s) ORDER BY relname
"""


def left_by_autovacuum(world: World) -> Mapping[str, tuple[int, float]]:
    """Wait until autovacuum has been where it should; say how many dead rows each table has, and may have."""
    with world.database() as connection:
        for statement in (LOOK_OFTEN, TELL, COUNT_ANEW):
            connection.execute(statement)
        until_seconds = clock.monotonic_seconds() + GONE_SECONDS_MAX
        found = _counted(connection)
        while clock.monotonic_seconds() < until_seconds and any(dead > most for dead, most in found.values()):
            clock.pause(LOOK_SECONDS)
            found = _counted(connection)
    return found


def _counted(connection: psycopg.Connection) -> Mapping[str, tuple[int, float]]:
    rows = connection.execute(COUNT, (list(TABLES),)).fetchall()
    return {table: (dead, DEAD_ROWS_MAX + DEAD_SHARE_MAX * live) for table, dead, live in rows}
