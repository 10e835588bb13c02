"""Break things with transfers: thousands out of one wallet and into one, and one that cannot be applied."""

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import LiteralString

import psycopg

from tests.chaos.fault import Doing, Fault
from tests.chaos.people import LISTENING, PEOPLE
from tests.chaos.world import World

BUSY = PEOPLE - 1
OTHERS = range(LISTENING, BUSY)
BATCH = 1_000
BATCHES = 10
POISON_MINOR = 66_613
"""No client pays this much by itself. Stands in `POISON` too."""

POISONED_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.2

POISON: LiteralString = """
CREATE OR REPLACE FUNCTION chaos_poison() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = '22000'; END $$;
CREATE OR REPLACE TRIGGER chaos_poison BEFORE INSERT ON entries FOR EACH ROW
WHEN (NEW.amount = -66613) EXECUTE FUNCTION chaos_poison();
"""
MEND = "DROP TRIGGER IF EXISTS chaos_poison ON entries"
COUNT_UNPROCESSABLE = "SELECT count(*) FROM events WHERE failure_code = 'unprocessable'"


def crowd_one_wallet(world: World, *, seconds: float, chance: random.Random) -> int:
    """Send ten thousand transfers out of one wallet, and as many into it."""
    del seconds
    sent = 0
    for number in range(BATCHES):
        payees = [(chance.choice(OTHERS), 1) for _ in range(BATCH)]
        sent += BATCH * world.crowd.batch(source=BUSY, payments=payees)
        sent += BATCH * world.crowd.batch(source=OTHERS[number % len(OTHERS)], payments=[(BUSY, 1)] * BATCH)
        if not world.pause(0):
            break
    return sent


def poison(world: World, *, seconds: float, chance: random.Random) -> int:
    """Put one transfer that cannot be applied among a thousand, and wait until it has ended as that."""
    del seconds
    before = _unprocessable(world)
    payments = [(chance.choice(OTHERS), 1) for _ in range(BATCH)]
    payments[chance.randrange(BATCH)] = (OTHERS[0], POISON_MINOR)
    with world.holding("schema"):
        try:
            with suppress(psycopg.Error), world.database() as connection:
                connection.execute(POISON)
                world.crowd.batch(source=BUSY, payments=payments)
                _await_more(world, before)
        finally:
            _mend(world)
    ended = _unprocessable(world) - before
    world.sometimes["transfers ended as unprocessable"] += ended
    return ended


def _await_more(world: World, before: int) -> None:
    for _ in range(round(POISONED_SECONDS_MAX / LOOK_SECONDS)):
        if _unprocessable(world) > before or not world.pause(LOOK_SECONDS):
            return


def _unprocessable(world: World) -> int:
    with suppress(psycopg.OperationalError), world.database() as connection:
        (count,) = connection.execute(COUNT_UNPROCESSABLE).fetchone() or (0,)
        return int(count)
    return 0


def _mend(world: World) -> None:
    """Take the poison out again; PostgreSQL may be down by another fault."""
    while True:
        try:
            with world.database() as connection:
                connection.execute(MEND)
                return
        except psycopg.OperationalError:
            world.pause(LOOK_SECONDS)


FAULTS: Sequence[Fault] = (
    Doing(name="F19", what="a transfer cannot be applied", does=poison),
    Doing(name="F20", what="ten thousand transfers out of one wallet, and into it", does=crowd_one_wallet),
)
