"""Tell the time: the one place that reads a clock, so that everything else can be told what time it is."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Read the wall clock, in UTC. Never used to order or to expire money: PostgreSQL's clock does that."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Read a clock that only goes forward, for measuring how long something took."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Let time pass, in a process that has nothing else to do."""
    time.sleep(seconds)
