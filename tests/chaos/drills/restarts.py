"""Crash PostgreSQL again and again under load: callers get 503 meanwhile, and are served soon after, unhelped."""

import signal
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from math import inf
from statistics import median
from typing import Final

from shared import clock
from tests.chaos.drills.drill import Drilled, said, was_served
from tests.chaos.history import Kind, Operation, Outcome

INTERVAL_SECONDS: Final = 15.0
"""From one crash to the next: twenty in five minutes."""

AWAY_SECONDS_MAX: Final = 5.0
"""Whoever tries to connect again becomes the more patient the longer it is away."""

SERVED_SECONDS_MAX: Final = 5.0
"""Source: issue 6: normal service within five seconds after PostgreSQL is back."""

FIRST_ACCEPTED: Final = "first 202"
LAST_REFUSED: Final = "last 503"
FIRST_APPLIED: Final = "first transfer applied"
FIRST_TOLD: Final = "first webhook delivered"

FIRST_ENDED: Final = "SELECT min(created_at) FROM events WHERE transfer_id IS NOT NULL AND created_at >= %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The time from when PostgreSQL let in again until it went again, on the monotonic clock.

    Attributes:
        back_at: The same moment on the clock of PostgreSQL.
    """

    back_seconds: float
    back_at: datetime
    went_seconds: float

    def after(self, moments_seconds: Iterable[float]) -> list[float]:
        """Say how long after its return those of the moments were that are in it."""
        return [m - self.back_seconds for m in moments_seconds if self.back_seconds <= m < self.went_seconds]


def of_postgres(drilled: Drilled) -> None:
    """Crash it every fifteen seconds, and leave it away for some of them."""
    world, stretches = drilled.world, list[Stretch]()
    parts = dict(world.system.parts)
    until_seconds = clock.monotonic_seconds()
    for _ in range(max(1, int(drilled.seconds / INTERVAL_SECONDS))):
        until_seconds += INTERVAL_SECONDS
        with world.holding("postgres"):
            # As `pg_ctl -m immediate` does.
            world.postgres.stop(signal.SIGQUIT)
            world.pause(drilled.chance.uniform(0, AWAY_SECONDS_MAX))
            world.postgres.start()
        back_seconds, back_at = clock.monotonic_seconds(), clock.now()
        world.pause(max(SERVED_SECONDS_MAX + 0.5, until_seconds - back_seconds))
        stretches.append(Stretch(back_seconds=back_seconds, back_at=back_at, went_seconds=clock.monotonic_seconds()))
    measured = _measured(drilled, stretches)
    drilled.figures |= {
        "restarts": len(stretches),
        "seconds after PostgreSQL was back": {
            what: {"median": round(median(found), 2), "max": round(max(found), 2)} for what, found in measured.items()
        },
    }
    drilled.wrong += [f"{times} times {what}" for what, times in _unwanted(drilled).items()]
    drilled.wrong += [
        f"the {what} came {max(found):.1f} s after PostgreSQL was back"
        for what, found in measured.items()
        if max(found) > SERVED_SECONDS_MAX
    ]
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


def _measured(drilled: Drilled, stretches: Sequence[Stretch]) -> Mapping[str, Sequence[float]]:
    """Say how long after each return things were as they should be again."""
    answered = [(o, o.answered_seconds) for o in drilled.operations if o.answered_seconds is not None]
    accepted = [at_seconds for o, at_seconds in answered if was_served(o)]
    refused = [at_seconds for o, at_seconds in answered if o.status == HTTPStatus.SERVICE_UNAVAILABLE]
    told = [heard.at_seconds for person in drilled.world.crowd.people if person.ear for heard in person.ear.heard]
    return {
        FIRST_ACCEPTED: [min(s.after(accepted), default=inf) for s in stretches],
        LAST_REFUSED: [max(s.after(refused), default=0.0) for s in stretches],
        FIRST_APPLIED: _first_applied(drilled, stretches),
        FIRST_TOLD: [min(s.after(told), default=inf) for s in stretches],
    }


def _first_applied(drilled: Drilled, stretches: Sequence[Stretch]) -> Sequence[float]:
    with drilled.world.database() as connection:
        rows = [connection.execute(FIRST_ENDED, (stretch.back_at,)).fetchone() for stretch in stretches]
    firsts: list[datetime | None] = [row[0] if row else None for row in rows]
    return [
        (first - stretch.back_at).total_seconds() if first else inf
        for first, stretch in zip(firsts, stretches, strict=True)
    ]
