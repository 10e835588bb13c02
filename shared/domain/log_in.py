"""Decide how often a PIN may be tried: five failures, and then one at a time, after waits that double. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FAILURES_MAX: Final = 5
"""Failures, each within fifteen minutes of the one before, until the next attempt has to wait. Source: http-api.md."""

FORGOTTEN_AFTER: Final = timedelta(minutes=15)
REMEMBERED_AFTER_LOCK: Final = timedelta(days=1)
"""Whoever was made to wait gets a clean slate only after a quiet day: waiting must not earn five guesses more."""

WAIT_FIRST: Final = timedelta(seconds=30)
WAIT_MAX: Final = timedelta(minutes=15)
"""No longer: somebody else's guesses must not keep the owner of an account out for a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What is known of the failures of one account: how many, the last, and until when it is locked, if it is."""

    count: int
    last_at: datetime
    locked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The attempt is not to be evaluated."""

    seconds: int


def attempt(known: Failures, *, at: datetime) -> Failures | Wait:
    """Count an attempt as a failure, before anybody knows whether it is one; a success clears the count."""
    if known.locked_until is not None and at < known.locked_until:
        return Wait(seconds=1 + int((known.locked_until - at).total_seconds()))
    was_locked = known.count >= FAILURES_MAX
    is_forgotten = at - known.last_at > (REMEMBERED_AFTER_LOCK if was_locked else FORGOTTEN_AFTER)
    count = 1 if is_forgotten else known.count + 1
    return Failures(count=count, last_at=at, locked_until=at + _wait(count) if count >= FAILURES_MAX else None)


def _wait(count: int) -> timedelta:
    # Bounded before it is doubled: a count of a thousand would be more than a timedelta holds.
    doublings = min(count - FAILURES_MAX, 10)
    return min(WAIT_FIRST * 2**doublings, WAIT_MAX)
