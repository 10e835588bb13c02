"""Say what a fault is: something that breaks a running system for a while, mends it, and tells how often it bit."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tests.chaos.world import World


class Need(Enum):
    """What a system has to be started with, for a fault to be possible later."""

    RELAYS = "relays"
    """It speaks to PostgreSQL and to the broker through relays, which can cut, hold and slow what passes."""

    SMALL_DISK = "small disk"
    """The data of PostgreSQL are on a small file system of their own."""

    FAKED_CLOCK = "faked clock"
    """Its processes read clocks that can be set."""


class Fault(Protocol):
    """A way to break a running system.

    Attributes:
        name: As in `faults.md`: F1, F2 …
        what: What it does to the system, as a phrase.
        needs: What the system has to be started with.
        seconds: How long one bite takes, when the schedule has the choice.
    """

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def needs(self) -> frozenset[Need]: ...
    @property
    def seconds(self) -> float: ...

    def bite(self, world: World, *, seconds: float, chance: random.Random) -> int:
        """Break the system for about so long, and mend it before this returns, whatever happens.

        Called in a thread of its own, beside other faults. Waits with `world.pause`, which the end of the run cuts
        short.

        Returns:
            How often it bit: processes killed, connections cut, answers refused. 0 if it turned out to do nothing.
        """
        ...


class Biting(Protocol):
    """What a fault does; `Fault.bite` describes it."""

    def __call__(self, world: World, *, seconds: float, chance: random.Random) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A fault that is one function."""

    name: str
    what: str
    does: Biting
    seconds: float = 5.0
    needs: frozenset[Need] = frozenset()

    def bite(self, world: World, *, seconds: float, chance: random.Random) -> int:
        """Do it."""
        return self.does(world, seconds=seconds, chance=chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bite:
    """One fault that took place.

    Attributes:
        began_seconds: On the monotonic clock, like `ended_seconds`.
        times: How often it bit.
        together: Whether others bit at the same time.
        trouble: Why it could not be done, if so: that fails the run.
    """

    fault: str
    began_seconds: float
    ended_seconds: float
    times: int
    together: bool = False
    trouble: str | None = None


def needs_of(faults: Sequence[Fault]) -> frozenset[Need]:
    """Say what a system has to be started with for all of these."""
    return frozenset(need for fault in faults for need in fault.needs)
