"""Hold callers to so many requests in a while: counted in this process, a microsecond each."""

from collections.abc import Hashable
from typing import Final, NamedTuple

COUNTED_MAX: Final = 100_000
"""Callers that are counted at a time; beyond that the one that came first is forgotten, and may begin anew."""


class Taken(NamedTuple):
    """What is left of a quota once a request is counted (-1: there was nothing left), and until when."""

    left: int
    reset_seconds: float


class Quotas:
    """A quota for each of many callers. A window begins with the first request after the one before has ended."""

    def __init__(self, *, requests: int, window_seconds: float) -> None:
        """Give each caller so many requests a window."""
        self._requests = requests
        self._window_seconds = window_seconds
        self._windows: dict[Hashable, tuple[float, int]] = {}

    def take(self, caller: Hashable, *, now_seconds: float) -> Taken:
        """Count a request."""
        began_seconds, taken = self._windows.get(caller, (now_seconds, 0))
        if now_seconds - began_seconds >= self._window_seconds:
            began_seconds, taken = now_seconds, 0
        reset_seconds = began_seconds + self._window_seconds - now_seconds
        if taken >= self._requests:
            return Taken(-1, reset_seconds)
        if len(self._windows) >= COUNTED_MAX and caller not in self._windows:
            del self._windows[next(iter(self._windows))]
        self._windows[caller] = (began_seconds, taken + 1)
        return Taken(self._requests - taken - 1, reset_seconds)
