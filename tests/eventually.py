"""Wait for an effect, never for a time."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

POLL_SECONDS = 0.02

Value = TypeVar("Value")


def eventually(look: Callable[[], Value], *, seconds_max: float = 60.0, otherwise: Callable[[], str] = str) -> Value:
    """Return what `look` gives as soon as it is true. The test fails with what `otherwise` says if it never is."""
    pause = Event()
    deadline = monotonic() + seconds_max
    while not (value := look()):
        assert monotonic() < deadline, f"not within {seconds_max} s: {otherwise()}"
        pause.wait(POLL_SECONDS)
    return value
