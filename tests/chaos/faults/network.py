"""Break what lies between Hishab and its servers: connections that swallow everything, crawl, or end at a commit."""

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from shared import clock
from tests.chaos.fault import Bitten, Doing, Fault, Measure, Need
from tests.chaos.recovery import await_recovery, standing
from tests.chaos.relay import Relay, Then, Trap
from tests.chaos.world import World

RELAYS = frozenset({Need.RELAYS})
CONSUMERS = 2
"""The lanes and the webhooks take wake-ups."""

CONSUMED_SECONDS_MAX = 60.0
"""Measured 10 to 16 s (faults.md, E4); the rest is for a machine that is busy with other faults."""

RECOVERED_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.1
TRAPPED_SECONDS_MAX = 5.0
DELAY_SECONDS = 0.5
BYTES_PER_SECOND = 1_000

# By whom, and by which word they commit: an acceptance is one statement, which holds the keys that clients gave.
COMMITS = (("accepting", b"hishab-intake", b"chaos-"), ("applying", b"hishab-lanes", b"COMMIT"))


def lose_broker_silently(world: World, *, seconds: float, chance: random.Random) -> Bitten:
    """Let its connections be half-open until those who consume from it have noticed, and made new ones."""
    del chance
    relay = _relay(world.broker_relay)
    with world.holding("broker"), world.broker_client() as broker:
        newest = max((int(client["id"]) for client in _clients(broker)), default=0)
        swallowed = relay.swallow()
        began_seconds = clock.monotonic_seconds()
        try:
            while not _consume(broker, since=newest):
                if clock.monotonic_seconds() - began_seconds > CONSUMED_SECONDS_MAX:
                    message = f"after {CONSUMED_SECONDS_MAX:.0f} s with a half-open broker not all took wake-ups again"
                    raise AssertionError(f"{message}: {_waiting(broker)} of them, newer than {newest}")
                if not world.pause(LOOK_SECONDS):
                    break
            took_seconds = clock.monotonic_seconds() - began_seconds
            world.sometimes[f"half-open broker noticed within {5 * (1 + took_seconds // 5):.0f} s"] += 1
            world.pause(max(0.0, seconds - took_seconds))
        finally:
            relay.mend()
    return Bitten(swallowed, recovery_seconds=took_seconds)


def cut_at_commits(world: World, *, seconds: float, chance: random.Random) -> int:
    """Cut whoever accepts and whoever applies at their commits, before PostgreSQL hears of it and after."""
    del seconds
    relay, cut = _relay(world.postgres_relay), 0
    ways = [(who, then) for who in COMMITS for then in (Then.CUT_BEFORE, Then.CUT_AFTER)]
    with world.holding("postgres"):
        for (what, among, word), then in chance.sample(ways, len(ways)):
            before = relay.trapped
            relay.trap = Trap(word=word, then=then, among=among, left=chance.randint(1, 3))
            until_seconds = clock.monotonic_seconds() + TRAPPED_SECONDS_MAX
            while relay.trap.left and clock.monotonic_seconds() < until_seconds and world.pause(LOOK_SECONDS):
                pass
            relay.mend()
            cut += relay.trapped - before
            side = "before" if then is Then.CUT_BEFORE else "after"
            world.sometimes[f"cut {side} a commit when {what}"] += relay.trapped - before
    return cut


def hinder_postgres(world: World, *, seconds: float, chance: random.Random) -> Bitten:
    """Let its connections be half-open, then answer late, then crawl, in any order."""
    relay, bites, longest_seconds = _relay(world.postgres_relay), 0, 0.0
    with world.holding("postgres"):
        for way in chance.sample((_lose_postgres_silently, _delay, _slow_down), 3):
            hindered = relay.hindered
            lost, took_seconds = way(world, relay, seconds=seconds / 3)
            bites += lost + relay.hindered - hindered
            longest_seconds = max(longest_seconds, took_seconds)
            if not world.pause(0):
                break
    return Bitten(bites, recovery_seconds=longest_seconds)


def _lose_postgres_silently(world: World, relay: Relay, *, seconds: float) -> tuple[int, float]:
    """Recovery is from the loss on: new connections are as good as any."""
    swallowed = relay.swallow()
    try:
        took_seconds = _recovered(world)
        world.pause(max(0.0, seconds - took_seconds))
    finally:
        relay.mend()
    return swallowed, took_seconds


def _delay(world: World, relay: Relay, *, seconds: float) -> tuple[int, float]:
    relay.delay_seconds = DELAY_SECONDS
    return _mended(world, relay, after_seconds=seconds)


def _slow_down(world: World, relay: Relay, *, seconds: float) -> tuple[int, float]:
    relay.bytes_per_second = BYTES_PER_SECOND
    return _mended(world, relay, after_seconds=seconds)


def _mended(world: World, relay: Relay, *, after_seconds: float) -> tuple[int, float]:
    try:
        world.pause(after_seconds)
    finally:
        relay.mend()
    return 0, _recovered(world)


def _recovered(world: World) -> float:
    took_seconds = await_recovery(world, seconds_max=RECOVERED_SECONDS_MAX)
    assert took_seconds is not None, f"no transfer ended within {RECOVERED_SECONDS_MAX:.0f} s: {standing(world)}"
    return took_seconds


def _relay(relay: Any) -> Relay:  # noqa: ANN401 (the world knows no more of it than its port)
    assert isinstance(relay, Relay), "the system was started without relays"
    return relay


def _clients(broker: Any) -> list[dict[str, str]]:  # noqa: ANN401 (redis has no types)
    return broker.client_list()


def _consume(broker: Any, *, since: int) -> bool:  # noqa: ANN401 (redis has no types)
    """Say whether all consumers wait on connections that were made later."""
    with suppress(redis.RedisError):
        return sum(number > since for number in _waiting(broker)) >= CONSUMERS
    return False


def _waiting(broker: Any) -> list[int]:  # noqa: ANN401 (redis has no types)
    """Number the connections that wait for a wake-up, the oldest first."""
    return sorted(int(client["id"]) for client in _clients(broker) if client["cmd"] == "brpop")


FAULTS: Sequence[Fault] = (
    Doing(
        name="F7",
        what="connections to the broker are half-open",
        does=lose_broker_silently,
        seconds=5.0,
        needs=RELAYS,
        bounds={Measure.RECOVERY: 20.0},
    ),
    Doing(name="F11", what="connections end at commits, on either side", does=cut_at_commits, needs=RELAYS),
    Doing(
        name="F12",
        what="PostgreSQL is half-open, late and slow",
        does=hinder_postgres,
        seconds=24.0,
        needs=RELAYS,
        bounds={Measure.RECOVERY: 15.0},
    ),
)
