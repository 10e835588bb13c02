"""Wait until a broken system does its work again: something accepted from now on has ended."""

from contextlib import suppress

import psycopg

from shared import clock
from tests.chaos.world import World

LOOK_SECONDS = 0.2

READ_POSITIONS = """
SELECT (SELECT coalesce(max(position), 0) FROM transfers), (SELECT max(newest_position) FROM lanes)
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
