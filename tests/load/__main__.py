"""Measure how fast Hishab is, against references in the same run: `make bench`, or `python -m tests.load --help`."""

import argparse
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.load.generator import generating
from tests.load.machine import describe
from tests.load.report import report, show, write
from tests.load.run import EACH_ROUND, run, steps_for
from tests.load.servers import serving
from tests.load.stage import FULL, QUICK, staged
from tests.load.targets import TARGETS, rows

RESULTS = Path("docs/bench")


def main() -> None:
    """Measure what the options ask for; exit with 1 if a ledger did anything wrong."""
    asked = _options().parse_args()
    size = QUICK if asked.quick else FULL
    only = frozenset(filter(None, asked.only.split(",")))
    steps = steps_for(TARGETS, only=only)
    rounds = asked.rounds or size.rounds
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="hishab-bench-") as directory,
        _progress(console, total=sum(rounds if name in EACH_ROUND else 1 for name in steps)) as (say, done),
    ):
        Path(directory).chmod(0o711)
        with serving(Path(directory)) as servers, generating() as generate:
            machine = describe(servers)
            with staged(servers, size=size, generate=generate, say=say) as stage:
                figures = run(stage, steps, rounds=rounds, done=done)
    compared = rows(TARGETS, figures=figures)
    reported = report(compared, machine=machine, figures=figures, faults=stage.faults, points=stage.points)
    show(console, compared, reported=reported)
    if asked.write:
        write(asked.results / "latest.json", reported=reported)
    sys.exit(1 if stage.faults.count else 0)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of less of everything, in two minutes")
    parser.add_argument("--only", default="", metavar="S1,S5", help="these rows, and the references they need")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write (default: %(default)s)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="show the table only")
    return parser


@contextmanager
def _progress(console: Console, *, total: int) -> Generator[tuple[object, object]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        task = progress.add_task("starting", total=total)
        yield (lambda what: progress.update(task, description=what), lambda: progress.advance(task))


if __name__ == "__main__":
    main()
