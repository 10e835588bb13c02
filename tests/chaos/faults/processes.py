"""Break the processes of Hishab itself: kill them, freeze them, restart them all the time."""

import os
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import psycopg
from psycopg import Connection

from hishab.process import Part
from tests.chaos.fault import Doing, Fault
from tests.chaos.world import World
from tests.running_system import is_running, run_to_its_end

WORKERS = ("lanes", "upkeep", "webhooks")
PARTS = ("api", *WORKERS)
BETWEEN_KILLS_SECONDS = (0.2, 1.0)
CATCHING_TRIES = 400
CATCHING_SECONDS = 0.01
POPPED_SECONDS = 0.3
"""Within which the broker has handed a wake-up to a connection whose process is frozen."""

BETWEEN_RESTARTS_SECONDS = 1.0

FIND_OPEN_TRANSACTION = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'hishab-lanes' AND xact_start IS NOT NULL AND state LIKE 'idle in transaction%%'
"""
IS_THERE = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
COUNT_QUEUED = "SELECT count(*) FROM queue"


def kill_api(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill the edge under its callers."""
    world.pause(chance.uniform(0, seconds))
    world.kill("api")
    return 1


def kill_children(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill whoever applies transfers, again and again, whatever they are at."""
    killed, spent_seconds = 0, 0.0
    while spent_seconds < seconds:
        for child in world.children("lanes"):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                killed += 1
        pause_seconds = chance.uniform(*BETWEEN_KILLS_SECONDS)
        spent_seconds += pause_seconds
        if not world.pause(pause_seconds):
            break
    return killed


def kill_workers(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill everything that works in the background at once."""
    world.pause(chance.uniform(0, seconds))
    with ExitStack() as held:
        for part in WORKERS:
            held.enter_context(world.holding(part))
        killed = {part: world.system.kill(part) for part in WORKERS}
        for part, pid in killed.items():
            world.system.await_restart(part, of=pid)
    return len(killed)


def freeze_child(world: World, *, seconds: float, chance: random.Random) -> int:
    """Freeze whoever applies transfers in the middle of a transaction, for longer than PostgreSQL puts up with."""
    del chance
    with suppress(psycopg.OperationalError), world.holding("lanes"), world.database() as connection:
        children = world.children("lanes")
        session = _caught(world, connection, children)
        try:
            if session is None or not world.pause(seconds):
                return 0
            (still,) = connection.execute(IS_THERE, (session,)).fetchone() or (1,)
            world.sometimes["transactions ended under a frozen worker"] += 1 - still
            return 1 - still
        finally:
            _signal(children, signal.SIGCONT)
    return 0


def kill_between_pop_and_note(world: World, *, seconds: float, chance: random.Random) -> int:
    """Freeze the consumer until the broker has handed it wake-ups, then kill it: these are lost for ever."""
    del seconds, chance
    with world.holding("lanes"):
        os.kill(world.system.await_age("lanes"), signal.SIGSTOP)
        _signal(world.children("lanes"), signal.SIGKILL)
        world.pause(POPPED_SECONDS)
        killed = world.system.kill("lanes")
        lost = _waits_without_a_message(world)
        world.system.await_restart("lanes", of=killed)
    world.sometimes["wake-ups lost"] += lost
    return lost


def restart_all(world: World, *, seconds: float, chance: random.Random) -> int:
    """Ask one part after the other to end, as an upgrade does, and migrate meanwhile."""
    restarts = 0
    for part in chance.sample(PARTS, len(PARTS)):
        if seconds <= 0:
            break
        world.kill(part, number=signal.SIGTERM)
        restarts += 1
        if not world.pause(BETWEEN_RESTARTS_SECONDS):
            break
    migrate = Part(
        name="migrate",
        command=[sys.executable, "-P", "-m", "shared.database.migrate"],
        environment={**os.environ, "HISHAB_DATABASE_URL": world.database_url},
    )
    if run_to_its_end(migrate).returncode == 0:
        world.sometimes["migrations under load"] += 1
    return restarts


def _caught(world: World, connection: Connection, children: set[int]) -> int | None:
    """Freeze the children at a moment when one of them has a transaction open; say which session that is."""
    for _ in range(CATCHING_TRIES):
        _signal(children, signal.SIGSTOP)
        found = connection.execute(FIND_OPEN_TRANSACTION).fetchone()
        if found is not None:
            return int(found[0])
        _signal(children, signal.SIGCONT)
        if not world.pause(CATCHING_SECONDS):
            break
    return None


def _waits_without_a_message(world: World) -> int:
    """Say whether transfers wait, and nobody will be told of them: 1 or 0."""
    with suppress(psycopg.OperationalError), world.database() as connection, world.broker_client() as broker:
        (queued,) = connection.execute(COUNT_QUEUED).fetchone() or (0,)
        return int(queued > 0 and not broker.exists("hishab:lanes", "hishab:unacked"))
    return 0


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        if is_running(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


FAULTS: Sequence[Fault] = (
    Doing(name="F1", what="the edge is killed", does=kill_api, seconds=1.0),
    Doing(name="F2", what="whoever applies transfers is killed, again and again", does=kill_children),
    Doing(name="F3", what="all workers are killed at once", does=kill_workers, seconds=1.0),
    Doing(name="F4", what="a worker is frozen in a transaction", does=freeze_child, seconds=8.0),
    Doing(name="F5", what="a worker dies with wake-ups in hand", does=kill_between_pop_and_note),
    Doing(name="F21", what="every part is restarted in turn, and the schema migrated", does=restart_all),
)
