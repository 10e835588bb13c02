"""Move the queue's horizon on, so that lanes need not walk over the dead rows before their head."""

from typing import Final

from psycopg import Connection

from shared import clock
from shared.database import horizon

LOOK_SECONDS: Final = 0.01
PATIENCE_SECONDS: Final = 2.0
"""A transaction that takes longer is waited for anew, from what is last by then."""


def advance_horizon(connection: Connection) -> bool:
    """Wait until everybody who has drawn a position up to the last one is done, and say whether that was in time.

    In one transaction, so that it is one life of one server: a position that was drawn and not committed when a server
    crashed is drawn once more.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the next time begins anew.
    """
    deadline_seconds = clock.monotonic_seconds() + PATIENCE_SECONDS
    with connection.transaction():
        position = horizon.last_position(connection)
        if position <= horizon.read_horizon(connection):
            return True
        drawing = horizon.drawing(connection)
        while drawing:
            if clock.monotonic_seconds() > deadline_seconds:
                return False
            clock.pause(LOOK_SECONDS)
            drawing &= horizon.drawing(connection)
        horizon.advance(connection, position=position)
    return True
