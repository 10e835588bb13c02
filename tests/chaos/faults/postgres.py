"""Break PostgreSQL: crash it again and again, or leave nobody a connection."""

import random
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import psycopg

from tests.chaos.fault import Doing, Fault, Measure
from tests.chaos.world import World

CRASHES = 5
BETWEEN_CRASHES_SECONDS = (0.2, 2.0)
KNOCK_SECONDS = 0.2
CONNECTIONS_MAX = 1_000

CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hishab-%%'
"""


def crash(world: World, *, seconds: float, chance: random.Random) -> int:
    """End it at once, as `pg_ctl -m immediate` does, and start it again, five times in a row."""
    del seconds
    crashed = 0
    with world.holding("postgres"):
        while crashed < CRASHES:
            if crashed and not world.pause(chance.uniform(*BETWEEN_CRASHES_SECONDS)):
                break
            world.postgres.stop(signal.SIGQUIT)
            world.postgres.start()
            crashed += 1
    return crashed


def exhaust(world: World, *, seconds: float, chance: random.Random) -> int:
    """Take all connections that there are, those of Hishab too; count who was turned away."""
    del chance
    refused, spent_seconds = 0, 0.0
    with world.holding("postgres"), suppress(psycopg.OperationalError), ExitStack() as taken:
        first = taken.enter_context(world.database())
        while spent_seconds < seconds:
            first.execute(CUT_OFF)
            refused += _take_all(world, taken)
            spent_seconds += KNOCK_SECONDS
            if not world.pause(KNOCK_SECONDS):
                break
    world.sometimes["connections refused"] += refused
    return refused


def _take_all(world: World, taken: ExitStack) -> int:
    for _ in range(CONNECTIONS_MAX):
        try:
            taken.enter_context(world.database())
        except psycopg.OperationalError:
            return 1
    return 0


FAULTS: Sequence[Fault] = (
    Doing(name="F10", what="PostgreSQL crashes five times in a row", does=crash, bounds={Measure.ERRORS: 5.0}),
    Doing(name="F14", what="PostgreSQL has no connection left for anybody", does=exhaust),
)
