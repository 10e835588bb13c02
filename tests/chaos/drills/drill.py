"""Say what a drill is: one kind of trouble for some time, under load, with figures that have to hold afterwards."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared import clock
from tests.chaos.bounds import Footprint, grown
from tests.chaos.collect import collect, times
from tests.chaos.history import SUBMITTING, Operation, Outcome
from tests.chaos.judge import judge
from tests.chaos.people import LISTENING
from tests.chaos.settle import quiet
from tests.chaos.stage import staged
from tests.chaos.watch import Watched, watched
from tests.chaos.world import World
from tests.load.audit import read_before
from tests.load.figures import percentile


@dataclass(slots=True, kw_only=True)
class Drilled:
    """What a drill works on, and what it came to.

    Attributes:
        figures: To be printed.
        wrong: Why it does not hold, if so.
    """

    world: World
    seconds: float
    chance: random.Random
    seen: Watched
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    wrong: list[str] = field(default_factory=list[str])

    @property
    def operations(self) -> Sequence[Operation]:
        """All that clients have done so far, and know the end of."""
        return [operation for operation in self.world.crowd.history.operations if operation.answered_seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A kind of trouble.

    Attributes:
        seconds: How long it lasts unless something else is asked for.
        listening: How many people are told by webhooks.
    """

    does: Callable[[Drilled], None]
    seconds: float
    listening: int = LISTENING


def run(drill: Drill, *, seconds: float, seed: int, say: Callable[[str], None]) -> Mapping[str, Any]:
    """Run a drill on a system of its own, let it become quiet, and judge it by all invariants besides."""
    with tempfile.TemporaryDirectory(prefix="hishab-drill-") as directory:
        place = Path(directory)
        place.chmod(0o711)
        with staged(place, needs=frozenset(), seed=seed, listening=drill.listening) as world:
            footprint = Footprint.of(world)
            with world.database() as connection:
                before = read_before(connection)
            with watched(world) as seen:
                drilled = Drilled(world=world, seconds=seconds, chance=random.Random(seed), seen=seen)
                world.crowd.start()
                say("it runs")
                drill.does(drilled)
                say("it is over; waiting until all is quiet")
                quiet_seconds, unsettled = quiet(world, say=say)
            bounds, more = grown(world, before=footprint, seen=seen)
            evidence = collect(world, before=before, watched=seen, unsettled=unsettled, unbounded=more, bounds=bounds)
            with world.database() as connection:
                ended = times(connection, before)
    for verdict in judge(evidence):
        if verdict.violations:
            drilled.wrong.append(f"{verdict.name} ({verdict.what}): {verdict.violations}: {'; '.join(verdict.named)}")
    late_seconds = [(one.ended_at - one.accepted_at).total_seconds() for one in ended]
    return {
        "seed": seed,
        "seconds": seconds,
        "transfers": len(ended),
        "accepted to ended, in seconds": {
            "p50": percentile(late_seconds, 0.5),
            "p99": percentile(late_seconds, 0.99),
            "max": max(late_seconds),
        },
        "quiet after seconds": round(quiet_seconds, 1),
        **drilled.figures,
        "answers": answers(evidence.operations),
        "wrong": drilled.wrong,
    }


def answers(operations: Sequence[Operation]) -> Mapping[str, int]:
    """Count what clients met: statuses with their codes, and errors that came instead."""
    return Counter(said(operation) for operation in operations)


def said(operation: Operation) -> str:
    """Say what became of an operation, as a client would tell it."""
    if operation.status is None:
        return operation.trouble or "nothing yet"
    return f"{operation.status} {operation.code or ''}".strip()


def await_empty(world: World, *, seconds_max: float) -> bool:
    """Wait until the queue is empty, and say whether it is."""
    until_seconds = clock.monotonic_seconds() + seconds_max
    with world.database() as connection:
        while clock.monotonic_seconds() < until_seconds:
            if connection.execute("SELECT FROM queue LIMIT 1").rowcount == 0:
                return True
            clock.pause(0.1)
    return False


def was_served(operation: Operation) -> bool:
    """Say whether a request to accept something was accepted."""
    return operation.kind in SUBMITTING and operation.outcome is Outcome.OK
