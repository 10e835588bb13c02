"""Fill the disk under PostgreSQL until it gives up, make room, and start it again."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.chaos.fault import Doing, Fault, Need
from tests.chaos.world import World

FILLED_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.2
PIECE_BYTES = 256 * 1024


def fill(world: World, *, seconds: float, chance: random.Random) -> int:
    """Leave no room on the disk until PostgreSQL has gone; then make room, and start it again."""
    del seconds, chance
    assert world.small_disk is not None, "the system was started on a disk that cannot be filled"
    filler = world.small_disk / "filler"
    with world.holding("postgres"):
        try:
            spent_seconds = 0.0
            while not world.postgres.has_ended() and spent_seconds < FILLED_SECONDS_MAX:
                _fill_up(filler)
                # What it has set aside for its log would last for long under a light load.
                with suppress(psycopg.OperationalError), world.database() as connection:
                    connection.execute("SELECT pg_switch_wal()")
                spent_seconds += LOOK_SECONDS
                if not world.pause(LOOK_SECONDS):
                    break
            went = world.postgres.has_ended()
        finally:
            filler.unlink(missing_ok=True)
            world.postgres.stop()
            world.postgres.start()
    world.sometimes["PostgreSQL gave up on a full disk"] += went
    return int(went)


def _fill_up(filler: Path) -> None:
    """Take whatever room there is, down to the last block."""
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(PIECE_BYTES)) == PIECE_BYTES:
            pass


FAULTS: Sequence[Fault] = (
    Doing(
        name="F15",
        what="the disk under PostgreSQL is full",
        does=fill,
        seconds=10.0,
        needs=frozenset({Need.SMALL_DISK}),
    ),
)
