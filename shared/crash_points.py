"""Die on purpose: the places where a test can tell a process to, so that it sees what becomes of the work under way.

Every exchange with PostgreSQL has one before it and, where it left no transaction open, one after it
(`shared.database.boundaries`); so has what is wrapped by `around`. Unless a process is armed when it starts there are
none: connections pass none, and `around` gives back what it was given.
"""

import ctypes
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

import structlog

log = structlog.get_logger()

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Reached = Callable[[str, object], None]
"""Told the name of a crash point as it is passed, and what is handed over there."""

_SPELLED: Final = re.compile(r"(?P<how>kill|raise|segv) (?P<point>.+) (?:#(?P<time>[1-9]\d*)|of (?P<concerned>\S+))")

_armed: Final[list[Reached]] = []


class CrashPointError(Exception):
    """What a crash point raises: a defect of ours, made to order."""


@dataclass(slots=True, kw_only=True)
class Crash:
    """Dies at one point: the nth time that it is passed, or whenever what is handed over there mentions an id.

    Attributes:
        times_left: None if it is an id that matters.
    """

    how: str
    point: str
    times_left: int | None
    concerned: str | None

    def __call__(self, point: str, handed_over: object) -> None:
        """Die, if this is the point and the time."""
        if point != self.point:
            return
        if self.concerned is not None and self.concerned not in repr(handed_over):
            return
        if self.times_left is not None:
            self.times_left -= 1
            if self.times_left != 0:
                return
        _HOW[self.how]()


def parse(spelled: str) -> Crash:
    """Read `kill|raise|segv POINT #TIME` or `kill|raise|segv POINT of ID`.

    Raises:
        ValueError: It is spelled otherwise.
    """
    found = _SPELLED.fullmatch(spelled)
    if found is None:
        raise ValueError(f"a crash is 'kill|raise|segv POINT #TIME' or '… of ID', and not {spelled!r}")
    return Crash(
        how=found["how"],
        point=found["point"],
        times_left=None if found["time"] is None else int(found["time"]),
        concerned=found["concerned"],
    )


def arm(reached: Reached) -> None:
    """Have this process, and whoever it forks, pass crash points from now on. To be called before anything else."""
    log.critical("crash_points.armed")
    _armed[:] = [reached]


def are_armed() -> bool:
    """Say whether there are any crash points."""
    return bool(_armed)


def reach(point: str, handed_over: object = None) -> None:
    """Pass a crash point."""
    for reached in _armed:
        reached(point, handed_over)


def around(point: str, act: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Put a crash point before and after a call; unarmed, this is the call itself."""
    if not _armed:
        return act

    def passing(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        reach(f"before {point}", (args, kwargs))
        result = act(*args, **kwargs)
        reach(f"after {point}", (args, kwargs))
        return result

    return passing


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise CrashPointError


def _segv() -> None:
    ctypes.string_at(0)


_HOW: Final[Mapping[str, Callable[[], None]]] = {"kill": _kill, "raise": _raise, "segv": _segv}
