"""Crash PostgreSQL again and again under load: callers get 503 meanwhile, and are served soon after, unhelped."""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared import clock
from tests.chaos.drills.drill import Drilled, said
from tests.chaos.history import SUBMITTING, Kind, Operation, Outcome

RESTARTS: Final = 20
SERVED_SECONDS_MAX: Final = 5.0
"""Source: issue 6: normal service within five seconds after PostgreSQL is back."""


def of_postgres(drilled: Drilled) -> None:
    """Crash it twenty times, evenly spread (fewer in a run that is too short to be served between)."""
    world, stretches = drilled.world, list[tuple[float, float]]()
    parts = dict(world.system.parts)
    restarts = min(RESTARTS, max(1, int(drilled.seconds / (SERVED_SECONDS_MAX + 1))))
    until_seconds = clock.monotonic_seconds()
    for _ in range(restarts):
        until_seconds += drilled.seconds / restarts
        with world.holding("postgres"):
            # As `pg_ctl -m immediate` does.
            world.postgres.stop(signal.SIGQUIT)
            world.postgres.start()
        back_seconds = clock.monotonic_seconds()
        world.pause(max(SERVED_SECONDS_MAX + 0.5, until_seconds - back_seconds))
        stretches.append((back_seconds, clock.monotonic_seconds()))
    served = _served_after(drilled, stretches)
    drilled.figures |= {"restarts": restarts, "served again after seconds": served}
    drilled.wrong += [f"{times} times {what}" for what, times in _unwanted(drilled).items()]
    drilled.wrong += list(_late(drilled, stretches))
    if parts != dict(world.system.parts):
        drilled.wrong.append("parts of the system were restarted")


def _unwanted(drilled: Drilled) -> Mapping[str, int]:
    """Count what callers met besides success, and 503 with a time to come back after."""
    return Counter(f"{o.kind}: {said(o)}" for o in drilled.operations if not _is_as_promised(o))


def _is_as_promised(operation: Operation) -> bool:
    if operation.kind is Kind.READY:
        return operation.status in {200, 503}
    if operation.status == 503:
        return operation.retry_after
    if operation.kind is Kind.MISMATCH:
        return operation.code == "idempotency_key_reused"
    return operation.outcome is Outcome.OK


def _served_after(drilled: Drilled, stretches: Sequence[tuple[float, float]]) -> list[float]:
    """Say how long after each return (PostgreSQL lets in) the first transfer that was sent after it was accepted."""
    found: list[float] = []
    for back_seconds, went_seconds in stretches:
        accepted = [
            operation.answered_seconds - back_seconds
            for operation in drilled.operations
            if operation.kind in SUBMITTING
            and operation.outcome is Outcome.OK
            and operation.answered_seconds is not None
            and back_seconds <= operation.invoked_seconds < went_seconds
        ]
        found += [round(min(accepted), 2)] if accepted else []
    return found


def _late(drilled: Drilled, stretches: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Name what was sent when normal service was due, and refused."""
    for back_seconds, went_seconds in stretches:
        for operation in drilled.operations:
            is_due = back_seconds + SERVED_SECONDS_MAX <= operation.invoked_seconds
            is_over = operation.answered_seconds is not None and operation.answered_seconds < went_seconds
            if is_due and is_over and operation.status == 503:
                after_seconds = operation.invoked_seconds - back_seconds
                yield f"{operation.kind}: {said(operation)} {after_seconds:.1f} s after PostgreSQL was back"
