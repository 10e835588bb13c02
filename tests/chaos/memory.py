"""Say what each process holds of the machine's memory, and which of those that live on hold more and more (I11)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import NamedTuple

from tests.chaos.world import World
from tests.load.system import memory_mb
from tests.running_system import descendants

LIFE_SECONDS_MIN = 45.0
"""A shorter life says nothing: pools, caches and the allocator fill up in its first seconds."""

GROWTH_FACTOR = 1.1
GROWTH_MORE_MB = 10.0
"""What a process may hold more in the last third of its life than in the first."""


class Process(NamedTuple):
    """A process of a part; `kind` tells the part's own from those that it has started."""

    part: str
    kind: str
    pid: int


class Growth(NamedTuple):
    """What the longest life of a kind came to."""

    kind: str
    life_seconds: float
    first_mb: float
    last_mb: float

    @property
    def is_bounded(self) -> bool:
        """Say whether it holds about what it held."""
        return self.last_mb <= self.first_mb * GROWTH_FACTOR + GROWTH_MORE_MB

    def __str__(self) -> str:
        held = f"{self.first_mb:.0f} MB at first, {self.last_mb:.0f} MB at last"
        return f"{held} in {self.kind}, alive for {self.life_seconds:.0f} s"


def held_now(world: World) -> Mapping[Process, float]:
    """Say what each process of each part holds; one that is just ending holds nothing."""
    found: dict[Process, float] = {}
    for part, pid in _parts(world).items():
        for process in (Process(part, part, pid), *_started_by(part, pid)):
            with suppress(OSError):
                found[process] = memory_mb(process.pid)
    return found


def by_part(held: Mapping[Process, float]) -> Mapping[str, float]:
    """Sum it up."""
    return {part: sum(mb for process, mb in held.items() if process.part == part) for part, *_ in held}


def growths(looks: Sequence[tuple[float, Mapping[Process, float]]]) -> list[Growth]:
    """Compare, for the longest life of each kind, the medians of its first and its last third.

    By life, since whatever is restarted starts anew; of a kind of which none lived for long, nothing is said.

    Args:
        looks: What was held, with when that was, in order.
    """
    lives: dict[Process, list[tuple[float, float]]] = {}
    for at_seconds, held in looks:
        for process, mb in held.items():
            lives.setdefault(process, []).append((at_seconds, mb))
    longest: dict[str, list[tuple[float, float]]] = {}
    for process, life in lives.items():
        longest[process.kind] = max(longest.get(process.kind, life), life, key=_seconds)
    return [_growth(kind, life) for kind, life in sorted(longest.items()) if _seconds(life) >= LIFE_SECONDS_MIN]


def _parts(world: World) -> Mapping[str, int]:
    """Name the parts; a system that has ended has none."""
    try:
        return world.system.parts
    except FileNotFoundError:
        return {}


def _started_by(part: str, pid: int) -> list[Process]:
    return [Process(part, f"what {part} started", child) for child in descendants(pid)]


def _seconds(life: Sequence[tuple[float, float]]) -> float:
    return life[-1][0] - life[0][0]


def _growth(kind: str, life: Sequence[tuple[float, float]]) -> Growth:
    began_seconds, third_seconds = life[0][0], _seconds(life) / 3
    first = [mb for at_seconds, mb in life if at_seconds <= began_seconds + third_seconds]
    last = [mb for at_seconds, mb in life if at_seconds >= began_seconds + 2 * third_seconds]
    return Growth(kind=kind, life_seconds=_seconds(life), first_mb=median(first), last_mb=median(last))
