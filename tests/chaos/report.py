"""Write down what a chaos run came to: JSON for programs, a page for people, and a plot of the time it took."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.chaos.fault import Bite, Fault, Measure
from tests.chaos.figures import OfFault, middle_and_most
from tests.chaos.history import SUBMITTING, Operation, Outcome
from tests.chaos.judge import Verdict
from tests.chaos.judge_bounds import Bound
from tests.chaos.memory import Growth
from tests.chaos.watch import Look

LEGEND = (
    "Recovery is the time from the end of a fault until a transfer that was accepted after it had ended; for half-open "
    "connections, from when they became so. What was sent, refused, of unknown outcome and answered is of the times at "
    "which the fault bit alone."
)
BOUNDS_LEGEND = (
    "Each fault alone; bounds as the design has them. What is answered is what was posted while the fault bit, and did "
    "not ask to wait. A bound that is missed fails the run."
)
MEMORY_LEGEND = (
    "The longest life of each kind of process: the medians of what it held in the first third of it, and in the last."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to.

    Attributes:
        began_seconds: On the monotonic clock, like all times of bites, looks and operations.
        quiet_seconds: How long it took until all was quiet, once there was no fault any more.
        bounds: How each bound on a fault was kept.
        calm_p99_seconds: How soon posts were answered while nothing bit.
        growths: Of the processes that lived for long.
        sometimes: What was seen to happen, and how often.
        left_out: Faults that cannot be had on this machine, and why.
        failures: Why the run has failed, if it has.
    """

    seed: int
    seconds: float
    began_seconds: float
    quiet_seconds: float
    machine: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    faults: Sequence[OfFault]
    bounds: Sequence[Bound]
    calm_p99_seconds: float | None
    growths: Sequence[Growth]
    descriptions: Mapping[str, Fault]
    bites: Sequence[Bite]
    looks: Sequence[Look]
    operations: Sequence[Operation]
    sometimes: Mapping[str, int]
    left_out: Mapping[str, str]
    failures: Sequence[str]

    def json(self) -> dict[str, Any]:
        """Give it for programs; the operations stand in the history."""
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "quiet_seconds": round(self.quiet_seconds, 1),
            "machine": self.machine,
            "operations": counted(self.operations),
            "invariants": [asdict(verdict) for verdict in self.verdicts],
            "faults": [{**asdict(one), "what": self.descriptions[one.fault].what} for one in self.faults],
            "bounds": [{**asdict(bound), "is_kept": bound.is_kept} for bound in self.bounds],
            "calm_p99_seconds": self.calm_p99_seconds,
            "memory": [growth._asdict() for growth in self.growths],
            "sometimes": dict(self.sometimes),
            "left_out": dict(self.left_out),
            "bites": [_since(self, bite) for bite in self.bites],
            "failures": list(self.failures),
        }


def write(report: Report, *, folder: Path) -> None:
    """Write all three, named by the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"seed-{report.seed}"
    (folder / f"{name}.json").write_text(json.dumps(report.json(), indent=1) + "\n", encoding="utf-8")
    plotted = draw(report, place=folder / f"{name}.png")
    (folder / f"{name}.md").write_text(page(report, plot=f"{name}.png" if plotted else None), encoding="utf-8")


def page(report: Report, *, plot: str | None = None) -> str:
    """Tell it to people, in Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    lines = [
        f"# Chaos, seed {report.seed}",
        "",
        _summary(report),
        f'The same schedule again: `make chaos CHAOS_ARGS="--seed {report.seed} --seconds {report.seconds:.0f}"`.',
        "",
        f"Machine: {machine}.",
        "",
        *(_failure(failure) for failure in report.failures),
        *([""] if report.failures else []),
        *([f"![throughput, errors and faults over time]({plot})", ""] if plot else [""]),
        "## Invariants",
        "",
        "| | what | checked | violations |",
        "|---|---|--:|--:|",
        *(f"| {v.name} | {v.what} | {v.checked:,} | {v.violations:,} |" for v in report.verdicts),
        "",
        "## Faults",
        "",
        LEGEND,
        "",
        "| | what | bites | bit | recovery alone | together | sent | refused | unknown | answered p99 |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(_row(report, one) for one in report.faults),
        "",
        *(line for name, why in report.left_out.items() for line in (f"Left out: {name}, {why}.", "")),
        *_together(report),
        "## Bounds",
        "",
        BOUNDS_LEGEND,
        *([] if report.calm_p99_seconds is None else [f"With no fault it was {report.calm_p99_seconds:.2f} s (p99)."]),
        "",
        "| | | |",
        "|---|---|---|",
        *(f"| {bound.fault} | {bound} | {'kept' if bound.is_kept else '**missed**'} |" for bound in report.bounds),
        "",
        "## Memory",
        "",
        MEMORY_LEGEND,
        "",
        *(f"- {growth}" for growth in report.growths),
        "",
        "## Seen to happen",
        "",
        *(f"- {name}: {count:,}" for name, count in sorted(report.sometimes.items())),
        "",
        "## Operations",
        "",
        "| kind | ok | failed | unknown |",
        "|---|--:|--:|--:|",
        *(
            f"| {kind} | {n['ok']:,} | {n['failed']:,} | {n['unknown']:,} |"
            for kind, n in counted(report.operations).items()
        ),
        "",
    ]
    return "\n".join(lines)


def _failure(failure: str) -> str:
    """Tell why it failed, and below it, as they stand there, the last words of a process if these were the reason."""
    why, *words = failure.splitlines()
    return "\n".join([f"- {why}", *(["", *(f"      {word}" for word in words), ""] if words else [])])


def _together(report: Report) -> list[str]:
    """Say what bit in windows of F22, if there were any."""
    windows = {bite.fault for bite in report.bites if bite.together}
    bitten = [one.fault for one in report.faults if one.times_together]
    others = [one.fault for one in report.faults if not one.times_together]
    if not windows:
        return []
    missing = f"; not {', '.join(others)}" if others else ""
    return [f"Several at once (F22): bit, beside others, {', '.join(bitten) or 'none'}{missing}.", ""]


def told(recovery: tuple[float, float] | None) -> str:
    """Tell a median and the longest."""
    return "-" if recovery is None else f"{recovery[0]:.1f} s, at most {recovery[1]:.1f} s"


def _summary(report: Report) -> str:
    """Tell in a line how it went."""
    verdict = "**Failed.**" if report.failures else "Nothing was violated."
    return (
        f"{report.seconds:.0f} seconds of faults on real processes under load, all quiet {report.quiet_seconds:.0f} "
        f"seconds after the last of them. {verdict}"
    )


def counted(operations: Sequence[Operation]) -> dict[str, dict[str, int]]:
    """Count operations by kind and outcome."""
    found: dict[str, dict[str, int]] = {}
    for operation in operations:
        kind = found.setdefault(str(operation.kind), {str(outcome): 0 for outcome in Outcome})
        kind[operation.outcome] += 1
    return found


def draw(report: Report, *, place: Path) -> bool:
    """Plot throughput, errors and faults over time; say whether that was possible here."""
    try:
        # By name: matplotlib comes with the extra `bench` alone, and half of it has no types.
        matplotlib: Any = import_module("matplotlib")
    except ImportError:
        return False
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, (above, errors, below) = pyplot.subplots(
        3, 1, figsize=(12, 9), sharex=True, gridspec_kw={"height_ratios": [3, 2, 4]}
    )
    _draw_throughput(report, above)
    _draw_errors(report, errors)
    _draw_faults(report, below)
    figure.tight_layout()
    figure.savefig(place, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return True


def _draw_throughput(report: Report, axes: Any) -> None:  # noqa: ANN401 (matplotlib has no types)
    looks = [look for look in report.looks if look.ended is not None and look.queued is not None]
    at = [look.at_seconds - report.began_seconds for look in looks]
    ended = [look.ended or 0 for look in looks]
    rates = [
        (after - before) / max(0.1, to - since)
        for before, after, since, to in zip(ended, ended[1:], at, at[1:], strict=False)
    ]
    axes.plot(at[1:], rates, label="transfers ended a second", linewidth=0.9)
    axes.plot(at, [look.queued for look in looks], label="queued", linewidth=0.9)
    axes.set(title=f"Chaos, seed {report.seed}", yscale="symlog")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes.grid(visible=True, alpha=0.3)


def _draw_errors(report: Report, axes: Any) -> None:  # noqa: ANN401 (matplotlib has no types)
    sent = [operation for operation in report.operations if operation.kind in SUBMITTING]
    for outcome in Outcome:
        buckets = dict.fromkeys(range(int(report.seconds + report.quiet_seconds) + 1), 0)
        for operation in sent:
            if operation.outcome is outcome:
                bucket = int(operation.invoked_seconds - report.began_seconds)
                buckets[bucket] = buckets.get(bucket, 0) + 1
        axes.plot(
            sorted(buckets), [buckets[at] for at in sorted(buckets)], ".-", label=outcome, linewidth=0.7, markersize=3
        )
    axes.set(ylabel="requests a second")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes.grid(visible=True, alpha=0.3)


def _draw_faults(report: Report, axes: Any) -> None:  # noqa: ANN401 (matplotlib has no types)
    names = [one.fault for one in report.faults]
    for bite in report.bites:
        width = max(0.3, bite.ended_seconds - bite.began_seconds)
        colour = "tab:red" if bite.times else "lightgrey"
        axes.barh(names.index(bite.fault), width, left=bite.began_seconds - report.began_seconds, color=colour)
    axes.set(xlabel="seconds", yticks=range(len(names)), yticklabels=names)
    axes.grid(visible=True, alpha=0.3)


def _row(report: Report, one: OfFault) -> str:
    alone, together = (told(middle_and_most(s)) for s in (one.recovery_seconds, one.recovery_together_seconds))
    answered_seconds = one.measured.get(Measure.ANSWERED_P99)
    p99 = "-" if answered_seconds is None else f"{answered_seconds:.2f} s"
    what = report.descriptions[one.fault].what
    met = f"{one.sent:,} | {one.refused:,} | {one.unknown:,} | {p99}"
    return f"| {one.fault} | {what} | {one.bites:,} | {one.times:,} | {alone} | {together} | {met} |"


def _since(report: Report, bite: Bite) -> dict[str, Any]:
    began, ended = bite.began_seconds - report.began_seconds, bite.ended_seconds - report.began_seconds
    return {"fault": bite.fault, "began": round(began, 1), "ended": round(ended, 1), "times": bite.times}
