"""Work out what a run came to, fault by fault: how often each bit, how soon transfers ended again, what callers met."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Final, NamedTuple

from tests.chaos.collect import Times
from tests.chaos.fault import CALM_SECONDS, Bite, Measure
from tests.chaos.history import SUBMITTING, Kind, Operation, Outcome
from tests.load.figures import percentile

MAY_COME_LATER = 1_000
"""Transfers among which the first to end after a fault is looked for."""

IN_THE_WAY = frozenset({409, 429})
"""Answers to a valid request that no fault is behind: its key is under way already, or there were too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFault:
    """What one fault came to.

    Attributes:
        times: How often it bit, in all its bites; `times_together`: in those beside others.
        recovery_seconds: After each bite alone; `recovery_together_seconds`: after the others.
        sent: Transfers and batches posted while it bit alone.
        refused: Of these, the ones that were refused; `unknown`: with an outcome that nobody knows.
        measured: What there was to measure, while it bit alone or right after.
        last_error: What came last of what clients met after a bite alone, in words.
    """

    fault: str
    bites: int
    times: int
    times_together: int
    seconds: float
    recovery_seconds: Sequence[float]
    recovery_together_seconds: Sequence[float]
    sent: int
    refused: int
    unknown: int
    measured: dict[Measure, float]
    last_error: str | None
    troubles: Sequence[str]


def middle_and_most(seconds: Sequence[float]) -> tuple[float, float] | None:
    """Give the median and the longest; nothing of nothing."""
    return (median(seconds), max(seconds)) if seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What figures are worked out of.

    Attributes:
        times: In order of acceptance.
        epoch_seconds: What the wall clock said when the monotonic clock said zero.
    """

    bites: Sequence[Bite]
    operations: Sequence[Operation]
    times: Sequence[Times]
    epoch_seconds: float
    posted: Sequence[Operation] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "posted", [o for o in self.operations if o.kind in SUBMITTING])


def by_fault(
    bites: Sequence[Bite], *, operations: Sequence[Operation], times: Sequence[Times], epoch_seconds: float
) -> list[OfFault]:
    """Work it out for every fault that took place, in order of their names.

    Args:
        epoch_seconds: What the wall clock said when the monotonic clock said zero.
    """
    seen = Seen(bites=bites, operations=operations, times=times, epoch_seconds=epoch_seconds)
    names = sorted({bite.fault for bite in bites}, key=lambda name: int(name[1:]))
    return [_of([bite for bite in bites if bite.fault == name], seen=seen) for name in names]


def calm_p99_seconds(bites: Sequence[Bite], *, operations: Sequence[Operation]) -> float | None:
    """Say how soon posts were answered while nothing bit: what this machine, as busy as it was, could do."""
    took_seconds = [
        o.seconds
        for o in operations
        if o.kind in SUBMITTING and not o.waits and o.seconds is not None and not any(_during(o, b) for b in bites)
    ]
    return percentile(took_seconds, 0.99) if took_seconds else None


def _of(bites: Sequence[Bite], *, seen: Seen) -> OfFault:
    alone = [bite for bite in bites if not bite.together]
    together = [bite for bite in bites if bite.together]
    met = [o for o in seen.posted if any(_during(o, bite) for bite in alone)]
    recovered = _recoveries(alone, seen=seen)
    last_error = _last_error(alone, seen=seen)
    return OfFault(
        fault=bites[0].fault,
        bites=len(bites),
        times=sum(bite.times for bite in bites),
        times_together=sum(bite.times for bite in together),
        seconds=sum(bite.ended_seconds - bite.began_seconds for bite in bites),
        recovery_seconds=recovered,
        recovery_together_seconds=_recoveries(together, seen=seen),
        sent=len(met),
        refused=sum(o.outcome is Outcome.FAILED for o in met),
        unknown=sum(o.outcome is Outcome.UNKNOWN for o in met),
        measured=_measured(alone, met=met, recovered=recovered, last_error=last_error, seen=seen),
        last_error=last_error.words,
        troubles=[bite.trouble for bite in bites if bite.trouble],
    )


def _measured(
    alone: Sequence[Bite], *, met: Sequence[Operation], recovered: Sequence[float], last_error: "_Error", seen: Seen
) -> dict[Measure, float]:
    """Measure what can be; every bite has to have recovered for its recovery to be one."""
    found: dict[Measure, float] = {}
    if recovered and len(recovered) == len(alone):
        found[Measure.RECOVERY] = max(recovered)
    if alone:
        found[Measure.ERRORS] = last_error.after_seconds
    if answered := [o.seconds for o in met if o.seconds is not None and not o.waits]:
        found[Measure.ANSWERED_P99] = percentile(answered, 0.99)
    if met:
        found[Measure.NOT_ACCEPTED] = sum(o.outcome is not Outcome.OK and o.status not in IN_THE_WAY for o in met)
    if ended := [seconds for bite in alone for seconds in _ended_seconds(bite, seen=seen)]:
        found[Measure.ENDED_P99] = percentile(ended, 0.99)
        found[Measure.ENDED_MAX] = max(ended)
    return found


def _during(operation: Operation, bite: Bite) -> bool:
    return bite.began_seconds <= operation.invoked_seconds <= bite.ended_seconds


def _recoveries(bites: Sequence[Bite], *, seen: Seen) -> list[float]:
    found = [_recovery(bite, seen=seen) if bite.recovery_seconds is None else bite.recovery_seconds for bite in bites]
    return [seconds for seconds in found if seconds is not None]


def _recovery(bite: Bite, *, seen: Seen) -> float | None:
    """Say how long after a bite a transfer that was accepted after it had ended; nothing if none was."""
    over = seen.epoch_seconds + bite.ended_seconds
    place = bisect_left(seen.times, over, key=_accepted)
    ended = [one.ended_at.timestamp() for one in seen.times[place : place + MAY_COME_LATER]]
    return min(ended) - over if ended else None


def _ended_seconds(bite: Bite, *, seen: Seen) -> list[float]:
    """Say how long each transfer took to end that was accepted while something bit."""
    first = bisect_left(seen.times, seen.epoch_seconds + bite.began_seconds, key=_accepted)
    last = bisect_left(seen.times, seen.epoch_seconds + bite.ended_seconds, key=_accepted)
    return [(one.ended_at - one.accepted_at).total_seconds() for one in seen.times[first:last]]


class _Error(NamedTuple):
    after_seconds: float
    words: str | None


_NO_ERROR: Final = _Error(0.0, None)


def _last_error(bites: Sequence[Bite], *, seen: Seen) -> _Error:
    return max(
        (_error_after(bite, seen=seen) for bite in bites), key=lambda error: error.after_seconds, default=_NO_ERROR
    )


def _error_after(bite: Bite, *, seen: Seen) -> _Error:
    """Say how long after a bite the last request was sent that met an error, before anything else bit."""
    next_seconds = min((b.began_seconds for b in seen.bites if b.began_seconds > bite.ended_seconds), default=inf)
    errors = [
        operation
        for operation in seen.operations
        if _is_error(operation)
        and bite.ended_seconds < operation.invoked_seconds
        # Whoever had just asked when the next bit met that: a table that is locked, say.
        and (operation.invoked_seconds < next_seconds - CALM_SECONDS or _answered(operation) < next_seconds)
    ]
    if not errors:
        return _NO_ERROR
    last = max(errors, key=lambda operation: operation.invoked_seconds)
    words = f"{last.kind} {last.number}, {last.seconds or inf:.2f} s: {last.status} {last.code or last.trouble}"
    return _Error(last.invoked_seconds - bite.ended_seconds, words)


def _answered(operation: Operation) -> float:
    return inf if operation.answered_seconds is None else operation.answered_seconds


def _is_error(operation: Operation) -> bool:
    """Say whether a client met an error; that a look says how things stand is none."""
    is_asking = operation.kind is not Kind.READY
    return is_asking and (operation.trouble is not None or (operation.status or 0) >= 500)


def _accepted(one: Times) -> float:
    return one.accepted_at.timestamp()
