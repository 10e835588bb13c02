"""Measure how fast lanes apply what waits (S1-S3), with one lane or several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

import psycopg

from shared.clock import monotonic_seconds
from tests.load.backlog import accept_all, lanes_held
from tests.load.endings import endings_in
from tests.load.payments import Payment, payments
from tests.load.stage import Stage
from tests.load.system import BACKGROUND, System

# As the runbook would: the API stopped, the queue empty.
ADD_LANES = "INSERT INTO lanes (lane) SELECT lane FROM generate_series(2, %s) AS lane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """How fast a backlog was accepted (in groups, without HTTP), and how fast it was applied."""

    accepted_per_second: float
    applied_per_second: float


def measure_spread(stage: Stage) -> Mapping[str, float]:
    """S1: a backlog spread over ten thousand wallets."""
    return {"S1": _applied_per_second(stage)}


def measure_hot(stage: Stage) -> Mapping[str, float]:
    """S2: a backlog into one wallet, and one out of one."""
    hot = stage.wallets.hot
    return {"S2 into": _applied_per_second(stage, into=hot), "S2 out": _applied_per_second(stage, out_of=hot)}


def _with_lanes(stage: Stage, lane_count: int) -> float:
    settings = {"HISHAB_LANE_PROCESSES": str(lane_count)}
    with stage.fresh_system(settings) as system:
        with psycopg.connect(system.database_url, autocommit=True) as connection:
            connection.execute(ADD_LANES, (lane_count,))
        planned = list(islice(payments(stage.wallets, label=f"lanes-{stage.round}"), stage.size.backlog))
        return drain(stage, system, planned, lane_count=lane_count).applied_per_second


def compare_lanes(
    stage: Stage, counts: Sequence[int], *, rounds: int, done: Callable[[], None]
) -> dict[str, list[float]]:
    """Measure each number of lanes in turn, round after round."""
    figures: dict[str, list[float]] = {}
    for stage.round in range(1, rounds + 1):
        for lane_count in counts:
            stage.timeline.begin(f"{lane_count} lanes, round {stage.round}")
            applied_per_second = _with_lanes(stage, lane_count)
            figures.setdefault(f"applied a second with {lane_count} lanes", []).append(applied_per_second)
            done()
    stage.points["throughput by lanes"] = [
        (float(count), median(values)) for count, values in zip(counts, figures.values(), strict=True)
    ]
    return figures


def drain(stage: Stage, system: System, planned: Sequence[Payment], *, lane_count: int = 1) -> Drained:
    """Accept while all lanes are held, let go of them, and wait until everything has ended."""
    with stage.timeline.part("starting and stopping"):
        system.start(*BACKGROUND)
    stage.settle()
    with stage.checked(system), endings_in(system.database_url) as endings:
        due = endings.count + len(planned)
        with lanes_held(system.database_url), stage.timeline.part("accepting"):
            accepting_seconds = accept_all(system.database_url, planned)
        start_seconds = monotonic_seconds()
        for lane in range(1, lane_count + 1):
            system.wake(lane)
        applying_seconds = endings.await_count(due) - start_seconds
    return Drained(
        accepted_per_second=len(planned) / accepting_seconds, applied_per_second=len(planned) / applying_seconds
    )


def _applied_per_second(stage: Stage, *, into: str | None = None, out_of: str | None = None) -> float:
    label = f"apply-{stage.round}-{into}-{out_of}"
    planned = list(islice(payments(stage.wallets, label=label, into=into, out_of=out_of), stage.size.backlog))
    return drain(stage, stage.system(*BACKGROUND), planned).applied_per_second
