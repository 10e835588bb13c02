"""Break the broker: it may be killed, emptied, frozen, full, or full of nonsense, and nothing but time is lost."""

import json
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis
from kombu.exceptions import OperationalError as BrokerError

from shared.queue import APPLY_TASK, KEY_PREFIX, LANES_QUEUE, celery_app
from tests.chaos.fault import Doing, Fault, Measure
from tests.chaos.world import World

CUTS = 20
CUT_PAUSE_SECONDS = 0.05
AWAY_SECONDS = 2.0
LITTLE_MEMORY_BYTES = 1_000_000
COPIES = 5
FOREIGN_TASK = "somebody.elses"
NO_LANE = 63
UNFIT: Sequence[Mapping[str, Any]] = (
    {"version": 1},
    {"version": 1, "lane": "one"},
    {"version": 1, "lane": NO_LANE},
    {"version": 1, "lane": -1},
    {"version": 99, "lane": 1, "more": "later"},
)


def break_broker(world: World, *, seconds: float, chance: random.Random) -> int:
    """Empty it, cut all its connections, freeze it and kill it, in any order."""
    ways: Sequence[Callable[..., int]] = (_empty, _cut, _freeze, _kill)
    bites = 0
    with world.holding("broker"):
        for way in chance.sample(ways, len(ways)):
            with suppress(redis.RedisError):
                bites += way(world, seconds=seconds / 2)
            if not world.pause(chance.uniform(0.1, 1.0)):
                break
    return bites


def fill(world: World, *, seconds: float, chance: random.Random) -> int:
    """Leave it no memory to take a message with, and evict nothing; count what it refused."""
    del chance
    with world.holding("broker"), suppress(redis.RedisError), world.broker_client() as broker:
        before = _refusals(broker)
        (kept,) = broker.config_get("maxmemory").values()
        broker.config_set("maxmemory", LITTLE_MEMORY_BYTES)
        try:
            world.pause(seconds)
            refused = _refusals(broker) - before
        finally:
            broker.config_set("maxmemory", kept)
        world.sometimes["messages refused by a full broker"] += refused
        return refused
    return 0


def confuse(world: World, *, seconds: float, chance: random.Random) -> int:
    """Send what was sent already, what nobody knows, and what is no message at all."""
    app = celery_app(world.broker.url, socket_timeout_seconds=2.0)
    sent, spent_seconds = 0, 0.0
    with world.broker_client() as broker:
        while spent_seconds < seconds:
            with suppress(redis.RedisError, BrokerError, OSError):
                sent += _send_copies(app)
                sent += _send_unfit(app, broker, chance=chance)
            spent_seconds += 1.0
            if not world.pause(1.0):
                break
    return sent


def _empty(world: World, *, seconds: float) -> int:
    del seconds
    with world.broker_client() as broker:
        broker.flushall()
    world.sometimes["brokers emptied"] += 1
    return 1


def _cut(world: World, *, seconds: float) -> int:
    del seconds
    cut = 0
    with world.broker_client() as broker:
        for _ in range(CUTS):
            cut += broker.client_kill_filter(_type="normal", skipme=True)
            if not world.pause(CUT_PAUSE_SECONDS):
                break
    world.sometimes["connections to the broker cut"] += cut
    return cut


def _freeze(world: World, *, seconds: float) -> int:
    with world.broker.frozen():
        world.pause(seconds)
    world.sometimes["brokers frozen"] += 1
    return 1


def _kill(world: World, *, seconds: float) -> int:
    del seconds
    world.broker.stop(signal.SIGKILL)
    try:
        world.pause(AWAY_SECONDS)
    finally:
        world.broker.start()
    world.sometimes["brokers killed"] += 1
    return 1


def _refusals(broker: Any) -> int:  # noqa: ANN401 (redis has no types)
    errors: Mapping[str, Any] = broker.info("errorstats")
    counted: Any = errors.get("errorstat_OOM", {"count": 0})
    return int(counted["count"])


def _send_copies(app: Any) -> int:  # noqa: ANN401 (Celery has no types)
    for _ in range(COPIES):
        app.send_task(APPLY_TASK, kwargs={"version": 1, "lane": 1}, queue=LANES_QUEUE, retry=False)
    return COPIES


def _send_unfit(app: Any, broker: Any, *, chance: random.Random) -> int:  # noqa: ANN401 (neither has types)
    app.send_task(FOREIGN_TASK, kwargs={}, queue=LANES_QUEUE, retry=False)
    app.send_task(APPLY_TASK, kwargs=dict(chance.choice(UNFIT)), queue=LANES_QUEUE, retry=False)
    nonsense = chance.choice(("", "no JSON", "[]", "{}", "\x00", json.dumps({"body": "e30=", "headers": {}})))
    broker.lpush(f"{KEY_PREFIX}{LANES_QUEUE}", nonsense)
    return 3


FAULTS: Sequence[Fault] = (
    Doing(
        name="F6",
        what="the broker is emptied, cut off, frozen and killed",
        does=break_broker,
        seconds=8.0,
        bounds={Measure.ANSWERED_P99: 1.0, Measure.NOT_ACCEPTED: 0},
    ),
    Doing(name="F8", what="the broker is full", does=fill, bounds={Measure.NOT_ACCEPTED: 0}),
    Doing(name="F9", what="wake-ups are repeated, foreign, unfit or nonsense", does=confuse),
)
