"""Break the processes of Hishab itself: kill them, freeze them, restart them all the time."""

import os
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import redis
from kombu.exceptions import OperationalError as BrokerError
from psycopg import Connection

from hishab.process import Part
from shared.queue import APPLY_TASK, KEY_PREFIX, LANES_QUEUE, celery_app
from tests.chaos.fault import Doing, Fault, Measure
from tests.chaos.recovery import await_recovery
from tests.chaos.world import World
from tests.eventually import eventually
from tests.running_system import is_running, run_to_its_end

WORKERS = ("lanes", "upkeep", "webhooks")
PARTS = ("api", *WORKERS)
SERVED_SECONDS_MAX = 10.0
BETWEEN_KILLS_SECONDS = (0.2, 1.0)
CHILD_SECONDS_MAX = 60.0
FREEZING_TRIES = 3
BETWEEN_FREEZINGS_SECONDS = 1.0
CATCHING_TRIES = 400
CATCHING_SECONDS = 0.01
SWALLOWING_TRIES = 20
IDLE_SECONDS = 0.5
POPPED_SECONDS = 0.1
"""Within which the broker has handed a wake-up to a connection whose process is frozen."""

SEND_SECONDS_MAX = 2.0
WAITING = f"{KEY_PREFIX}{LANES_QUEUE}"

BETWEEN_RESTARTS_SECONDS = 1.0

SWEPT_SECONDS = 1.5
"""The age at which upkeep takes a wake-up for lost, and the time between its looks."""

FIND_OPEN_TRANSACTION = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'hishab-lanes' AND xact_start IS NOT NULL AND state LIKE 'idle in transaction%%'
"""
IS_THERE = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"


def kill_api(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill the edge under its callers, once some are served: what was accepted just before must end."""
    await_recovery(world, seconds_max=SERVED_SECONDS_MAX)
    world.pause(chance.uniform(0, seconds))
    world.kill("api")
    return 1


def kill_children(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill whoever applies transfers, again and again, whatever they are at."""
    killed, spent_seconds = 0, 0.0
    # One that was just restarted has none yet.
    eventually(lambda: world.children("lanes") or world.stopping.is_set(), seconds_max=CHILD_SECONDS_MAX)
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
    with world.holding("lanes"):
        for _ in range(FREEZING_TRIES):
            # PostgreSQL may just have been broken too.
            with suppress(psycopg.OperationalError), world.database() as connection:
                if ended := _ended_while_frozen(world, connection, seconds=seconds):
                    world.sometimes["transactions ended under a frozen worker"] += ended
                    return ended
            if not world.pause(BETWEEN_FREEZINGS_SECONDS):
                break
    return 0


def kill_between_pop_and_note(world: World, *, seconds: float, chance: random.Random) -> int:
    """Freeze the consumer until the broker has handed it a wake-up, then kill it: that one is lost for ever."""
    del seconds, chance
    lost = 0
    with world.holding("lanes"):
        consumer = world.system.await_age("lanes")
        with suppress(redis.RedisError, BrokerError), world.broker_client() as broker:
            lost = _swallowed(world, broker, consumer)
        _signal({consumer}, signal.SIGKILL)
        world.system.await_restart("lanes", of=consumer)
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


def _ended_while_frozen(world: World, connection: Connection, *, seconds: float) -> int:
    """Freeze the children once one of them has a transaction open; say whether PostgreSQL ends it within the time."""
    for _ in range(CATCHING_TRIES):
        # Anew each time: others kill them.
        children = world.children("lanes")
        _signal(children, signal.SIGSTOP)
        try:
            caught = connection.execute(FIND_OPEN_TRANSACTION).fetchone()
            if caught is not None:
                world.pause(seconds)
                (still,) = connection.execute(IS_THERE, caught).fetchone() or (1,)
                return 1 - still if all(is_running(child) for child in children) else 0
        finally:
            _signal(children, signal.SIGCONT)
        if not world.pause(CATCHING_SECONDS):
            break
    return 0


def _swallowed(world: World, broker: Any, consumer: int) -> int:  # noqa: ANN401 (redis has no types)
    """Freeze the consumer while it waits for a message, and send it one: 1 if that is gone, and 0 if never."""
    app = celery_app(world.broker.url, socket_timeout_seconds=SEND_SECONDS_MAX)
    world.crowd.resting.set()
    try:
        for _ in range(SWALLOWING_TRIES):
            # A lane that is worked takes no messages.
            if not world.pause(IDLE_SECONDS):
                break
            _signal({consumer}, signal.SIGSTOP)
            if not broker.exists(WAITING):
                app.send_task(APPLY_TASK, kwargs={"version": 1, "lane": 1}, queue=LANES_QUEUE, retry=False)
                world.pause(POPPED_SECONDS)
                # Nobody else takes messages from there.
                if not broker.exists(WAITING):
                    return 1
            _signal({consumer}, signal.SIGCONT)
    finally:
        world.crowd.resting.clear()
    return 0


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        if is_running(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


FAULTS: Sequence[Fault] = (
    Doing(
        name="F1",
        what="the edge is killed",
        does=kill_api,
        seconds=1.0,
        bounds={Measure.ENDED_MAX: SWEPT_SECONDS + 1.0},
    ),
    Doing(
        name="F2",
        what="whoever applies transfers is killed, again and again",
        does=kill_children,
        bounds={Measure.ENDED_P99: 10.0},
    ),
    Doing(name="F3", what="all workers are killed at once", does=kill_workers, seconds=1.0),
    Doing(name="F4", what="a worker is frozen in a transaction", does=freeze_child, seconds=14.0),
    Doing(name="F5", what="a worker dies with wake-ups in hand", does=kill_between_pop_and_note),
    Doing(name="F21", what="every part is restarted in turn, and the schema migrated", does=restart_all),
)
