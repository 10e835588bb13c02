"""Measure how fast Hishab is, against references in the same run: `make bench`, or `python -m tests.load --help`."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.load import apply, growth, mixed, plots, queue_full, target, webhooks
from tests.load.generator import generating
from tests.load.machine import describe
from tests.load.report import WIDTH, report, show, show_figures, write
from tests.load.run import EACH_ROUND, ONCE, run, steps_for
from tests.load.servers import serving
from tests.load.stage import FULL, QUICK, Size, Stage, staged
from tests.load.targets import GROWTH, TARGETS, WEBHOOK_MEMORY, Target, rows
from tests.load.timeline import Timeline

RESULTS = Path("docs/bench")
TARGET_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One kind of run.

    Attributes:
        file: The name under `docs/bench` of what is written down.
        measure: Given the stage and what to call after each step, measures, and says what is not as it should be.
    """

    file: str
    targets: Sequence[Target]
    steps: int
    measure: Callable[[Stage, Callable[[], None]], Mapping[str, list[float]]]
    problems: Callable[[Mapping[str, float]], list[str]] = field(default=lambda _: [])


def main() -> None:
    """Measure what the options ask for; exit with 1 if a ledger did anything wrong."""
    asked = _options().parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    if asked.target:
        with generating() as generate:
            figures = target.measure(asked.target, adapter=asked.adapter, generate=generate, seconds=TARGET_SECONDS)
        show_figures(console, figures)
        return
    size = QUICK if asked.quick else FULL
    sys.exit(_measured(_plan(asked, size=size), size=size, console=console, results=asked.results, writes=asked.write))


def _measured(plan: Plan, *, size: Size, console: Console, results: Path, writes: bool) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="hishab-bench-") as directory,
        _progress(console, total=plan.steps) as (timeline, done),
    ):
        Path(directory).chmod(0o711)
        with serving(Path(directory)) as servers, generating() as generate:
            machine = describe(servers)
            with staged(servers, size=size, generate=generate, timeline=timeline) as stage:
                figures = plan.measure(stage, done)
    compared = rows(plan.targets, figures=figures)
    reported = report(compared, machine=machine, figures=figures, faults=stage.faults, points=stage.points)
    show(console, compared, reported=reported)
    problems = stage.problems + plan.problems({name: median(values) for name, values in figures.items() if values})
    for problem in problems:
        console.print(problem, style="red")
    if writes:
        write(results / f"{plan.file}.json", reported=reported)
        plots.draw(results, reported=reported)
    return 1 if stage.faults.count or problems else 0


def _plan(asked: argparse.Namespace, *, size: Size) -> Plan:
    rounds: int = asked.rounds or size.rounds
    if asked.growth:
        return Plan(
            file="growth",
            targets=GROWTH,
            steps=growth.STEPS + size.rounds + 1,
            measure=lambda stage, done: growth.measure(stage, transfers=asked.growth, done=done),
        )
    if asked.mixed:
        return Plan(
            file="mixed",
            targets=(),
            steps=1,
            measure=lambda stage, _: _once(mixed.measure(stage, seconds=asked.mixed)),
            problems=mixed.problems,
        )
    if asked.queue_full:
        return Plan(
            file="queue-full",
            targets=(),
            steps=1,
            measure=lambda stage, _: _once(queue_full.measure(stage)),
            problems=queue_full.problems,
        )
    if asked.webhook_memory:
        return Plan(
            file="webhook-memory",
            targets=WEBHOOK_MEMORY,
            steps=1,
            measure=lambda stage, _: _once(webhooks.measure_memory(stage, count=asked.webhook_memory)),
        )
    if asked.lanes:
        counts = [int(count) for count in asked.lanes.split(",")]
        return Plan(
            file="lanes",
            targets=(),
            steps=len(counts) * rounds,
            measure=lambda stage, done: apply.compare_lanes(stage, counts, rounds=rounds, done=done),
        )
    only = frozenset(str(asked.only).split(",")) - {""}
    steps = steps_for(TARGETS, only=only)
    return Plan(
        file="latest",
        targets=[target for target in TARGETS if not only or target.id in only],
        steps=sum(rounds if name in EACH_ROUND else name in ONCE for name in steps),
        measure=lambda stage, done: run(stage, steps, rounds=rounds, done=done),
    )


def _once(figures: Mapping[str, float]) -> Mapping[str, list[float]]:
    return {name: [value] for name, value in figures.items()}


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of less of everything, in two minutes")
    parser.add_argument("--only", default="", metavar="S1,S5", help="these rows, and the references they need")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--growth", type=int, metavar="TRANSFERS", help="S10 and S11, with so many in the tables")
    parser.add_argument("--mixed", type=float, metavar="SECONDS", help="load of every kind at once for so long")
    parser.add_argument("--queue-full", action="store_true", help="more than may wait, while nobody applies anything")
    parser.add_argument(
        "--webhook-memory", type=int, metavar="DELIVERIES", help="of the webhook worker, over so many of them"
    )
    parser.add_argument("--lanes", default="", metavar="1,2,4,8", help="S1 with so many lanes and processes")
    parser.add_argument("--target", metavar="URL", help="drive what runs there; credentials in BENCH_CREDENTIALS")
    parser.add_argument("--adapter", default=target.OWN_ADAPTER, metavar="MODULE:CLASS", help="what --target speaks")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write (default: %(default)s)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="show the table only")
    return parser


@contextmanager
def _progress(console: Console, *, total: int) -> Generator[tuple[Timeline, Callable[[], None]]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, refresh_per_second=2) as progress:
        task = progress.add_task("starting", total=total)

        def say(what: str) -> None:
            progress.update(task, description=what)

        timeline = Timeline(say=say, keep=lambda line: progress.console.print(line, highlight=False, markup=False))
        yield timeline, lambda: progress.advance(task)


if __name__ == "__main__":
    main()
