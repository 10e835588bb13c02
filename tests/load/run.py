"""Run the scenarios: references and ours in turn, round after round, and put the figures together."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import psycopg

from tests.load import apply, celery_messages, memory, over_http, waiting, webhooks
from tests.load.stage import Stage
from tests.load.targets import Target

Step = Callable[[Stage], Mapping[str, float]]


def _measure_r1(stage: Stage) -> Mapping[str, float]:
    reference, seconds = stage.reference, stage.size.seconds
    return {
        "R1 spread": reference.transfers_per_second(reference.spread, seconds=seconds),
        "R1 hot": reference.transfers_per_second(reference.hot, seconds=seconds),
        "R1 one client": reference.one_client_ms(seconds=seconds),
    }


def _measure_r2(stage: Stage) -> Mapping[str, float]:
    return {"R2": stage.reference.commits_per_second(seconds=stage.size.seconds)}


def _measure_r3(stage: Stage) -> Mapping[str, float]:
    return celery_messages.measure(stage.servers, messages=stage.size.messages)


def _measure_s12(stage: Stage) -> Mapping[str, float]:
    with stage.fresh_system() as system:
        rates = webhooks.measure(system.database_url, count=stage.size.webhooks)
    return {"S12 bare": rates.bare, "S12": rates.ours, "S12 worker": rates.worker_rss_mb}


EACH_ROUND: Mapping[str, Step] = {
    "R1": _measure_r1,
    "S1": apply.measure_spread,
    "S2": apply.measure_hot,
    "S6": over_http.measure_accepting,
    "S5": over_http.measure_singles,
    "R3": _measure_r3,
    "S8": over_http.measure_latency,
    "S9": over_http.measure_lone,
    "S4": over_http.measure_batches,
    "S12": _measure_s12,
}
"""In this order: what is compared stands close together."""

ONCE: Mapping[str, Step] = {
    "R2": _measure_r2,
    "S13": memory.measure,
    "S14": waiting.measure,
}
"""What does not move from round to round, or no row stands on."""


def steps_for(targets: Iterable[Target], *, only: Collection[str]) -> list[str]:
    """Name the steps that are needed for the targets asked for (all of them, if none are named)."""
    steps = (*EACH_ROUND, *ONCE)
    if not only:
        return list(steps)
    named = {name for target in targets if target.id in only for name in target.steps}
    return [name for name in steps if name in named or name in only]


def run(stage: Stage, steps: Sequence[str], *, rounds: int, done: Callable[[], None]) -> dict[str, list[float]]:
    """Measure, round after round; `done` is called after each step."""
    figures: dict[str, list[float]] = defaultdict(list)

    def measure(steps_now: Mapping[str, Step]) -> None:
        for name in steps:
            if name in steps_now:
                for figure, value in _attempted(stage, name, step=steps_now[name]).items():
                    figures[figure].append(value)
                done()

    for stage.round in range(1, rounds + 1):
        measure(EACH_ROUND)
        stage.timeline.begin(f"the whole ledger of round {stage.round}")
        stage.audit_round()
        stage.end_round()
    measure(ONCE)
    return figures


def _attempted(stage: Stage, name: str, *, step: Step) -> Mapping[str, float]:
    stage.timeline.begin(f"{name}, round {stage.round}")
    try:
        stage.settle()
        found = step(stage)
    except (AssertionError, KeyError, OSError, psycopg.Error) as error:
        # The rest is still worth having; a row whose rounds are not whole is not judged, and the run has failed.
        stage.problems.append(f"{name} in round {stage.round}: {type(error).__name__}: {error}")
        stage.end_round()
        return {}
    stage.latest.update(found)
    return found
