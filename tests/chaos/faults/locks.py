"""Hold what Hishab needs a lock on: a busy wallet, the lanes, a whole table."""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import LiteralString

import psycopg

from tests.chaos.fault import Doing, Fault
from tests.chaos.people import HOT
from tests.chaos.world import World

HOLDS: Mapping[str, LiteralString] = {
    "wallets": "SELECT id FROM wallets WHERE id = ANY(%(wallet_ids)s::uuid[]) ORDER BY id FOR UPDATE",
    "lanes": "SELECT lane FROM lanes WHERE lane > 0 ORDER BY lane FOR NO KEY UPDATE",
    "the queue": "LOCK TABLE queue IN ACCESS EXCLUSIVE MODE",
    "transfers": "LOCK TABLE transfers IN ACCESS EXCLUSIVE MODE",
}
LOOK_SECONDS = 0.2

# Whoever comes to a lane that is held leaves at once: nobody waits for it, and its mark grows old or is gone.
COUNT_KEPT_WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hishab-%%' AND wait_event_type = 'Lock'
"""
COUNT_QUEUED = "SELECT count(*) FROM queue"


def hold(world: World, *, seconds: float, chance: random.Random) -> int:
    """Hold each for a while; count who was kept waiting."""
    bites = 0
    for what in chance.sample(sorted(HOLDS), len(HOLDS)):
        with suppress(psycopg.OperationalError):
            bites += _hold(world, what, seconds=seconds / len(HOLDS))
        if not world.pause(LOOK_SECONDS):
            break
    return bites


def _hold(world: World, what: str, *, seconds: float) -> int:
    wallet_ids = [person.wallet_id for person in world.crowd.people[:HOT]]
    waited = 0
    with psycopg.connect(world.database_url) as holding, world.database() as looking:
        holding.execute("SET LOCAL lock_timeout = '5s'")
        holding.execute(HOLDS[what], {"wallet_ids": wallet_ids})
        spent_seconds = 0.0
        while spent_seconds < seconds and world.pause(LOOK_SECONDS):
            spent_seconds += LOOK_SECONDS
            # With the lanes held, what waits is the queue, which may not be looked at while that is held itself.
            statement = COUNT_QUEUED if what == "lanes" else COUNT_KEPT_WAITING
            (seen,) = looking.execute(statement).fetchone() or (0,)
            waited = max(waited, seen)
    world.sometimes[f"kept waiting by whoever held {what}"] += waited
    return waited


FAULTS: Sequence[Fault] = (
    Doing(name="F13", what="somebody holds busy wallets, the lanes, whole tables", does=hold, seconds=12.0),
)
