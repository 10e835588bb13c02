"""Say what a fault is: something that breaks a running system for a while, mends it, and tells how often it bit."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple, Protocol

from tests.chaos.world import World

CALM_SECONDS = 1.0
"""Between two steps of a schedule. What is asked for in it may still be under way when the next one bites."""


class Need(Enum):
    """What a system has to be started with, for a fault to be possible later."""

    RELAYS = "relays"
    """It speaks to PostgreSQL and to the broker through relays, which can cut, hold and slow what passes."""

    SMALL_DISK = "small disk"
    """The data of PostgreSQL are on a small file system of their own."""

    FAKED_CLOCK = "faked clock"
    """Its processes read clocks that can be set."""


class Measure(StrEnum):
    """What can be measured of a fault that bites alone; those in seconds say so."""

    RECOVERY = "recovery_seconds"
    """Until what is accepted from then on ends again: from the end of a bite, if it has not measured that itself."""

    ERRORS = "errors_seconds"
    """From the end of a bite until the last request was sent that met an error, and not that of the next bite."""

    ANSWERED_P99 = "answered_p99_seconds"
    """Of what was posted while it bit, and did not ask to wait."""

    ENDED_P99 = "ended_p99_seconds"
    """From acceptance to the end, of what was accepted while it bit."""

    ENDED_MAX = "ended_max_seconds"

    NOT_ACCEPTED = "not_accepted"
    """How much was posted while it bit, and not accepted."""


class Bitten(NamedTuple):
    """What a bite came to: how often it bit, and how long recovery took, if that was measured."""

    times: int
    recovery_seconds: float | None = None


class Fault(Protocol):
    """A way to break a running system.

    Attributes:
        name: As in `faults.md`: F1, F2 …
        what: What it does to the system, as a phrase.
        needs: What the system has to be started with.
        seconds: How long one bite takes, when the schedule has the choice.
        bounds: What may be measured at most while it bites alone. Source: faults.md, section 4.2.
    """

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def needs(self) -> frozenset[Need]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def bounds(self) -> Mapping[Measure, float]: ...

    def bite(self, world: World, *, seconds: float, chance: random.Random) -> Bitten:
        """Break the system for about so long, and mend it before this returns, whatever happens.

        Called in a thread of its own, beside other faults. Waits with `world.pause`, which the end of the run cuts
        short.

        Returns:
            How often it bit: processes killed, connections cut, answers refused. 0 if it turned out to do nothing.
        """
        ...


class Biting(Protocol):
    """What a fault does; `Fault.bite` describes it. How often it bit is enough to say."""

    def __call__(self, world: World, *, seconds: float, chance: random.Random) -> int | Bitten: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A fault that is one function."""

    name: str
    what: str
    does: Biting
    seconds: float = 5.0
    needs: frozenset[Need] = frozenset()
    bounds: Mapping[Measure, float] = field(default_factory=dict[Measure, float])

    def bite(self, world: World, *, seconds: float, chance: random.Random) -> Bitten:
        """Do it."""
        bitten = self.does(world, seconds=seconds, chance=chance)
        return bitten if isinstance(bitten, Bitten) else Bitten(bitten)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bite:
    """One fault that took place.

    Attributes:
        began_seconds: On the monotonic clock, like `ended_seconds`.
        times: How often it bit.
        recovery_seconds: As the fault itself has measured it, if it has.
        together: Whether others bit at the same time.
        trouble: Why it could not be done, if so: that fails the run.
    """

    fault: str
    began_seconds: float
    ended_seconds: float
    times: int
    recovery_seconds: float | None = None
    together: bool = False
    trouble: str | None = None


def needs_of(faults: Sequence[Fault]) -> frozenset[Need]:
    """Say what a system has to be started with for all of these."""
    return frozenset(need for fault in faults for need in fault.needs)
