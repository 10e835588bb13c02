"""Run chaos from beginning to end: set up, load, break, let it become quiet, judge."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hishab.embedded import machine_memory_mb
from shared import clock
from tests.chaos.bounds import Footprint, grown
from tests.chaos.collect import collect, times
from tests.chaos.evidence import Evidence
from tests.chaos.fault import Bite, Fault, needs_of
from tests.chaos.figures import by_fault, calm_p99_seconds
from tests.chaos.history import SUBMITTING, Operation, Outcome
from tests.chaos.judge import Verdict, judge
from tests.chaos.judge_bounds import Bound, bounds_of
from tests.chaos.memory import growths
from tests.chaos.report import Report
from tests.chaos.schedule import TOGETHER, carry_out, steps
from tests.chaos.settle import quiet
from tests.chaos.stage import staged
from tests.chaos.watch import watched
from tests.chaos.world import World
from tests.load.audit import read_before
from tests.load.machine import cpu
from tests.running_system import EndedBadlyError, tail

WARM_UP_SECONDS = 2.0
CHANCES_MIN = 2


def run(
    faults: Sequence[Fault],
    *,
    place: Path,
    seconds: float,
    seed: int,
    together: bool,
    clients: int,
    left_out: Mapping[str, str],
    say: Callable[[str], None],
    slack: float = 1.0,
) -> Report:
    """Break a system in these ways for so long, and say what came of it.

    Args:
        together: Break it in several ways at once, too (F22).
        slack: By what the bounds on times are widened, on a machine that is busy with other things.
    """
    say("starting")
    report: Report | None = None
    try:
        with staged(place, needs=needs_of(faults), seed=seed, clients=clients) as world:
            report = _carried_out(
                world, faults, seconds=seconds, seed=seed, together=together, left_out=left_out, say=say, slack=slack
            )
    except EndedBadlyError as ended:
        if report is None:
            raise
        report = replace(report, failures=[*report.failures, f"`hishab up`: {ended}"])
    return report


def _carried_out(
    world: World,
    faults: Sequence[Fault],
    *,
    seconds: float,
    seed: int,
    together: bool,
    left_out: Mapping[str, str],
    say: Callable[[str], None],
    slack: float,
) -> Report:
    before_footprint = Footprint.of(world)
    with world.database() as connection:
        before = read_before(connection)
    epoch_seconds = clock.now().timestamp() - clock.monotonic_seconds()
    began_seconds = clock.monotonic_seconds()
    with watched(world) as seen:
        world.crowd.start()
        world.pause(WARM_UP_SECONDS)
        bites = _broken(world, faults, seconds=seconds, seed=seed, together=together, say=say)
        over_seconds = clock.monotonic_seconds()
        assert not world.postgres.has_ended(), f"PostgreSQL has ended by itself\n{tail(world.postgres.log)}"
        say("all faults are over; waiting until all is quiet")
        quiet_seconds, unsettled = quiet(world, say=say)
    say(f"{'quiet' if not unsettled else 'not quiet'} after {quiet_seconds:.1f} s; judging")
    bounds, more = grown(world, before=before_footprint, seen=seen)
    evidence = collect(world, before=before, watched=seen, unsettled=unsettled, unbounded=more, bounds=bounds)
    with world.database() as connection:
        ended = times(connection, before)
    verdicts = judge(evidence)
    figures = by_fault(bites, operations=evidence.operations, times=ended, epoch_seconds=epoch_seconds)
    promised = bounds_of(figures, faults=faults, slack=slack)
    ending = ["`hishab up` ended while it was being broken"] if world.system.has_ended() else []
    sometimes = Counter({**world.sometimes, **_seen(evidence)})
    return Report(
        seed=seed,
        seconds=over_seconds - began_seconds,
        began_seconds=began_seconds,
        quiet_seconds=quiet_seconds,
        machine=_machine(),
        verdicts=verdicts,
        faults=figures,
        bounds=promised,
        calm_p99_seconds=calm_p99_seconds(bites, operations=evidence.operations),
        growths=growths(seen.held),
        descriptions={fault.name: fault for fault in faults},
        bites=bites,
        looks=seen.looks,
        operations=evidence.operations,
        sometimes=sometimes,
        left_out=left_out,
        failures=[*ending, *failures(faults, bites, verdicts, bounds=promised, together=together)],
    )


def _broken(
    world: World, faults: Sequence[Fault], *, seconds: float, seed: int, together: bool, say: Callable[[str], None]
) -> list[Bite]:
    if not faults:
        world.pause(seconds)
        return []
    planned = steps(faults, together=together, seed=seed)
    steps_min = len(faults) + (1 if together else 0)
    return carry_out(world, planned, steps_min=steps_min, seconds=seconds, say=say)


def _seen(evidence: Evidence) -> Mapping[str, int]:
    """Count what clients and receivers saw happen."""
    sent = [operation for operation in evidence.operations if operation.kind in SUBMITTING]
    acknowledged = Counter((heard.person, heard.event_id) for heard in evidence.heard if heard.acknowledged)
    accepted = _first_accepted(sent)
    return {
        "requests of unknown outcome": sum(o.outcome is Outcome.UNKNOWN for o in sent),
        "requests of unknown outcome that were accepted": sum(_was_accepted_at_first(o, accepted) for o in sent),
        "webhooks acknowledged more than once": sum(count > 1 for count in acknowledged.values()),
        "webhooks given up": len(evidence.exhausted),
        "transfers refused for lack of funds": sum(row.endings[:1] == ("insufficient_funds",) for row in evidence.rows),
        "outages of PostgreSQL": len(evidence.outages),
    }


def _first_accepted(sent: Sequence[Operation]) -> Mapping[str, Operation]:
    """Find the first attempt with each key that was answered with an acceptance."""
    found: dict[str, Operation] = {}
    for operation in sent:
        if operation.outcome is Outcome.OK:
            found.setdefault(operation.about, operation)
    return found


def _was_accepted_at_first(operation: Operation, accepted: Mapping[str, Operation]) -> bool:
    """Say whether a request of unknown outcome had been accepted: the next one with its key was then a replay."""
    return operation.outcome is Outcome.UNKNOWN and operation.about in accepted and accepted[operation.about].replayed


def failures(
    faults: Sequence[Fault],
    bites: Sequence[Bite],
    verdicts: Sequence[Verdict],
    *,
    bounds: Sequence[Bound] = (),
    together: bool,
) -> list[str]:
    """Say why a run has failed: something was violated or took too long, or a fault did not bite, or could not."""
    times = Counter({fault.name: 0 for fault in faults})
    for bite in bites:
        times[bite.fault] += bite.times
    found = [
        f"{v.name} ({v.what}) was violated {v.violations} times: {'; '.join(v.named)}" for v in verdicts if v.violations
    ]
    found += [f"{bound.fault}: {bound}" for bound in bounds if not bound.is_kept]
    found += [f"{fault} never bit" for fault, bitten in times.items() if not bitten]
    found += [f"{bite.fault} could not be done: {bite.trouble}" for bite in bites if bite.trouble and not bite.together]
    if together and not any(bite.together and bite.times for bite in bites):
        found.append(f"{TOGETHER} never bit")
    return found + _never_together(bites)


def _never_together(bites: Sequence[Bite]) -> list[str]:
    """Name what bit in no window of F22, although it had its chances: once, what it needs may just have been killed."""
    windows = Counter(bite.fault for bite in bites if bite.together)
    bitten = {bite.fault for bite in bites if bite.together and bite.times}
    return [
        f"{fault} bit in none of the {count} windows of {TOGETHER} that it was in"
        for fault, count in sorted(windows.items())
        if count >= CHANCES_MIN and fault not in bitten
    ]


def _machine() -> Mapping[str, object]:
    return {
        "processor": cpu(),
        "cores": os.cpu_count(),
        "memory in MB": machine_memory_mb(),
        "python": platform.python_version(),
    }
