"""Say what a process is to do, and where it dies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a process is to do.

    Attributes:
        crash: Where it dies, as `crash_points.parse` reads it; None if it does not.
        trace: A file for the names of the crash points that it passes.
        notes: A file for what it was answered, a line each.
        asked: The requests that the edge is sent.
    """

    part: str
    database_url: str
    secret_key: str
    crash: str | None = None
    trace: str | None = None
    notes: str | None = None
    asked: Sequence[dict[str, Any]] = ()
