"""Work out what a run came to, fault by fault: how often each bit, how soon transfers ended again, what callers met."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.chaos.collect import Times
from tests.chaos.fault import Bite
from tests.chaos.history import SUBMITTING, Operation, Outcome
from tests.load.figures import percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFault:
    """What one fault came to.

    Attributes:
        times: How often it bit, in all its bites.
        recovery_seconds: From the end of each bite until a transfer that was accepted after it had ended.
        answered_p99_seconds: Of transfers sent while it bit alone.
        refused: Of these, the ones that were refused; `unknown`: with an outcome that nobody knows.
    """

    fault: str
    bites: int
    times: int
    seconds: float
    recovery_seconds: Sequence[float]
    sent: int
    refused: int
    unknown: int
    answered_p99_seconds: float | None
    troubles: Sequence[str]

    @property
    def recovery(self) -> tuple[float, float] | None:
        """Its median, and the longest."""
        return (median(self.recovery_seconds), max(self.recovery_seconds)) if self.recovery_seconds else None


def by_fault(
    bites: Sequence[Bite], *, operations: Sequence[Operation], times: Sequence[Times], epoch_seconds: float
) -> list[OfFault]:
    """Work it out for every fault that took place, in order of their names.

    Args:
        epoch_seconds: What the wall clock said when the monotonic clock said zero.
    """
    names = sorted({bite.fault for bite in bites}, key=lambda name: int(name[1:]))
    return [
        _of(
            [bite for bite in bites if bite.fault == name],
            operations=operations,
            times=times,
            epoch_seconds=epoch_seconds,
        )
        for name in names
    ]


def _of(
    bites: Sequence[Bite], *, operations: Sequence[Operation], times: Sequence[Times], epoch_seconds: float
) -> OfFault:
    met = [
        o for o in operations if o.kind in SUBMITTING and any(_during(o, bite) for bite in bites if not bite.together)
    ]
    took_seconds = [o.seconds for o in met if o.seconds is not None]
    recovered = [_recovery(bite, times=times, epoch_seconds=epoch_seconds) for bite in bites]
    return OfFault(
        fault=bites[0].fault,
        bites=len(bites),
        times=sum(bite.times for bite in bites),
        seconds=sum(bite.ended_seconds - bite.began_seconds for bite in bites),
        recovery_seconds=[seconds for seconds in recovered if seconds is not None],
        sent=len(met),
        refused=sum(o.outcome is Outcome.FAILED for o in met),
        unknown=sum(o.outcome is Outcome.UNKNOWN for o in met),
        answered_p99_seconds=percentile(took_seconds, 0.99) if took_seconds else None,
        troubles=[bite.trouble for bite in bites if bite.trouble],
    )


def _during(operation: Operation, bite: Bite) -> bool:
    return bite.began_seconds <= operation.invoked_seconds <= bite.ended_seconds


def _recovery(bite: Bite, *, times: Sequence[Times], epoch_seconds: float) -> float | None:
    """Say how long after a bite a transfer that was accepted after it had ended; nothing if none was."""
    over = epoch_seconds + bite.ended_seconds
    place = bisect_left(times, over, key=lambda one: one.accepted_at.timestamp())
    ended = [one.ended_at.timestamp() for one in times[place : place + 1_000]]
    return min(ended) - over if ended else None
