"""Break a running Hishab in every way, and judge what became of it: `make chaos`, or `python -m tests.chaos --help`."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from shared import clock
from tests.chaos.crowd import CLIENTS
from tests.chaos.fault import Fault, Need
from tests.chaos.faults import ALL
from tests.chaos.figures import middle_and_most
from tests.chaos.means import missing
from tests.chaos.report import Report, told, write
from tests.chaos.run import run
from tests.chaos.schedule import TOGETHER

RESULTS = Path("docs/chaos")


def main() -> None:
    """Do what the options ask for; exit with 1 if anything was violated, or a fault never bit."""
    asked = _options().parse_args()
    console = Console(soft_wrap=True, highlight=False)
    began_seconds = clock.monotonic_seconds()

    def say(what: str) -> None:
        console.print(f"{clock.monotonic_seconds() - began_seconds:7.1f} s  {what}", markup=False)

    names = _names(asked.faults)
    folder = asked.results if asked.write else Path(tempfile.mkdtemp(prefix="hishab-chaos-report-"))
    faults, left_out = possible(_faults(names), named=names if asked.faults else (), missing=missing)
    say(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="hishab-chaos-") as directory:
        place = Path(directory)
        place.chmod(0o711)
        report = run(
            faults,
            place=place,
            seconds=asked.seconds,
            seed=asked.seed,
            together=TOGETHER in names,
            clients=asked.clients,
            left_out=left_out,
            say=say,
            slack=asked.slack,
        )
        if report.failures and not asked.write:
            _keep(place, folder=folder)
    write(report, folder=folder)
    _show(console, report)
    say(f"the report is in {folder}")
    sys.exit(1 if report.failures else 0)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", help=f"names with commas between (default: all): {', '.join([*ALL, TOGETHER])}")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="how long to break it; each fault bites at least once"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of schedule and load")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="how many send at once")
    parser.add_argument("--slack", type=float, default=1.0, help="by what to widen bounds on times, on a busy machine")
    parser.add_argument("--write", action="store_true", help="write the report to --results, and not to a new folder")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"where --write writes to (default: {RESULTS})")
    return parser


def _names(asked: str | None) -> Sequence[str]:
    names = asked.split(",") if asked else [*ALL, TOGETHER]
    if unknown := set(names) - {*ALL, TOGETHER}:
        sys.exit(f"There is no fault {', '.join(sorted(unknown))}; there are {', '.join([*ALL, TOGETHER])}.")
    return names


def _faults(names: Sequence[str]) -> list[Fault]:
    """Give the faults of these names; everything at once is all of them, unless others are named beside it."""
    alone = [name for name in names if name != TOGETHER]
    return [ALL[name] for name in alone or ALL]


def possible(
    faults: Sequence[Fault], *, named: Sequence[str], missing: Callable[[Need], str | None]
) -> tuple[list[Fault], Mapping[str, str]]:
    """Leave out what this machine does not allow, and say why; what was asked for by name is not left out.

    Raises:
        SystemExit: It was, and cannot be had here.
    """
    reasons = {need: missing(need) for fault in faults for need in fault.needs}
    left_out = {fault.name: why for fault in faults for need in fault.needs if (why := reasons[need])}
    if impossible := [f"{name} cannot be had here: {why}." for name, why in left_out.items() if name in named]:
        sys.exit(" ".join(impossible))
    return [fault for fault in faults if fault.name not in left_out], left_out


def _keep(place: Path, *, folder: Path) -> None:
    """Keep what was said and seen, for whoever looks why."""
    for file in (*place.glob("*.log"), *place.glob("*.jsonl")):
        (folder / file.name).write_bytes(file.read_bytes())


def _show(console: Console, report: Report) -> None:
    for line in (*_judged(report), *_measured(report)):
        console.print(line, markup=False)
    for name, why in report.left_out.items():
        console.print(f"{name:>4} was left out: {why}")
    for failure in report.failures:
        console.print(f"FAILED: {failure}", markup=False)


def _judged(report: Report) -> Iterable[str]:
    for verdict in report.verdicts:
        yield f"{verdict.name:>4} {verdict.what}: {verdict.checked:,} checked, {verdict.violations:,} violations"
    for bound in report.bounds:
        yield f"{bound.fault:>4} {bound}"


def _measured(report: Report) -> Iterable[str]:
    for one in report.faults:
        recovery = told(middle_and_most(one.recovery_seconds))
        yield f"{one.fault:>4} bit {one.times:,} times in {one.bites}; recovery alone {recovery}"
        if one.last_error:
            yield f"     the last error after it: {one.last_error}"
        yield from (f"{one.fault:>4} {trouble}" for trouble in one.troubles)
    yield from (f"     {name}: {count:,}" for name, count in sorted(report.sometimes.items()))
    yield from (f"     {growth}" for growth in report.growths)


if __name__ == "__main__":
    main()
