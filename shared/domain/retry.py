"""Decide when a webhook that failed is tried again. Pure: chance and time come in as arguments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

JITTER: Final = 0.2
"""Waits vary by a fifth either way, so that what failed together does not come back together."""

RETRY_AFTER_FACTOR_MAX: Final = 2
"""`Retry-After` may stretch a wait to this many times what was planned, so that nobody puts us off for a year."""

_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When to try again.

    Attributes:
        waits_seconds: The planned wait after each failed attempt; after the last one follows another attempt.
        overloaded_seconds: A receiver that says 429, or is too slow to answer, is left alone for at least this long.
    """

    waits_seconds: Sequence[float]
    overloaded_seconds: float

    @property
    def probe_seconds(self) -> float:
        """Say how long an endpoint that keeps failing is left alone between two probes: as after a first failure."""
        return self.waits_seconds[0] if self.waits_seconds else self.overloaded_seconds


def wait_seconds(
    attempts: int,
    *,
    schedule: Schedule,
    overloaded: bool,
    retry_after_seconds: float | None,
    chance: float,
) -> float | None:
    """Say how long to wait after a failed attempt, or None when the schedule is at its end.

    Args:
        attempts: How many were made, this one included; 1 or more.
        overloaded: The receiver answered 429, or not in time.
        retry_after_seconds: What it asked for, if anything.
        chance: In [0, 1).
    """
    if attempts > len(schedule.waits_seconds):
        return None
    least = schedule.overloaded_seconds if overloaded else 0.0
    planned = max(schedule.waits_seconds[attempts - 1], least)
    asked = min(retry_after_seconds or 0.0, planned * RETRY_AFTER_FACTOR_MAX)
    return max(planned * (1 - JITTER + 2 * JITTER * chance), asked, least)


def parse_retry_after(header: str | None, *, now: datetime) -> float | None:
    """Read a `Retry-After` header, which says seconds or a date, as seconds from now; None if it says neither."""
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        # No date, or one without a zone.
        return None
