"""Decide from a seed what breaks when, and do it: each fault alone once, then alone and several at once in turn."""

import itertools
import random
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from shared import clock
from tests.chaos.fault import CALM_SECONDS, Bite, Bitten, Fault, Measure
from tests.chaos.recovery import await_recovery, standing
from tests.chaos.world import World

TOGETHER = "F22"
"""Stands for everything at once."""

TOGETHER_COUNT = 4
TOGETHER_STEPS = 8
RECOVERY_SECONDS_MAX = 60.0
"""After which transfers that are accepted have to end again, on a machine that is busy with other things too."""

TROUBLE_LENGTH_MAX = 4_000
"""Room for what stands in the way: every session of ours (`standing`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Faults that bite at the same time, each with a seed of its own."""

    faults: Sequence[Fault]
    seed: str

    @property
    def name(self) -> str:
        """Name them."""
        return "+".join(fault.name for fault in self.faults)

    @property
    def errors_seconds_max(self) -> float:
        """How long errors may go on after it, if that is to be seen: nothing else may bite meanwhile."""
        return max(fault.bounds.get(Measure.ERRORS, 0.0) for fault in self.faults) if len(self.faults) == 1 else 0.0


def steps(faults: Sequence[Fault], *, together: bool, seed: int) -> Generator[Step]:
    """Say what breaks next, without end: the same for the same seed.

    Args:
        together: Whether several may bite at once.
    """
    chance = random.Random(f"{seed}/schedule")
    for number in itertools.count():
        alone = [[fault] for fault in chance.sample(faults, len(faults))]
        at_once = list(itertools.islice(_hands(faults, chance=chance), TOGETHER_STEPS)) if together else []
        for place, group in enumerate([*alone, *at_once]):
            yield Step(faults=group, seed=f"{seed}/{number}/{place}")


def _hands(faults: Sequence[Fault], *, chance: random.Random) -> Generator[list[Fault]]:
    """Deal all faults out, a few at a time, then all of them again: none is left out for long."""
    dealt: list[Fault] = []
    while True:
        while len(dealt) < min(TOGETHER_COUNT, len(faults)):
            dealt += [fault for fault in chance.sample(faults, len(faults)) if fault not in dealt]
        yield dealt[:TOGETHER_COUNT]
        dealt = dealt[TOGETHER_COUNT:]


def carry_out(
    world: World, planned: Generator[Step], *, steps_min: int, seconds: float, say: Callable[[str], None]
) -> list[Bite]:
    """Take step after step until the time is over, but each of the first `steps_min`; none once there is no system."""
    bites: list[Bite] = []
    until_seconds = clock.monotonic_seconds() + seconds
    for number, step in enumerate(planned):
        is_over = number >= steps_min and clock.monotonic_seconds() >= until_seconds
        if is_over or world.system.has_ended():
            break
        say(f"{step.name}: {', '.join(fault.what for fault in step.faults)}")
        bites += take(world, step)
        recovered_seconds = await_recovery(world, seconds_max=RECOVERY_SECONDS_MAX)
        if recovered_seconds is None and not world.system.has_ended():
            trouble = f"no transfer ended within {RECOVERY_SECONDS_MAX:.0f} s after it: {standing(world)}"
            bites[-1] = replace(bites[-1], trouble=trouble)
        world.pause(CALM_SECONDS + step.errors_seconds_max)
    return bites


def take(world: World, step: Step) -> list[Bite]:
    """Have the faults of a step bite side by side."""
    with ThreadPoolExecutor(len(step.faults), thread_name_prefix="fault") as threads:
        return list(threads.map(partial(_bite, world, step=step), step.faults))


def _bite(world: World, fault: Fault, *, step: Step) -> Bite:
    began_seconds, bitten, trouble = clock.monotonic_seconds(), Bitten(0), None
    try:
        bitten = fault.bite(world, seconds=fault.seconds, chance=random.Random(f"{step.seed}/{fault.name}"))
    except Exception as error:  # noqa: BLE001 (a fault that cannot be done is told of, and must not end the others)
        trouble = f"{type(error).__name__}: {error}"[:TROUBLE_LENGTH_MAX]
    return Bite(
        fault=fault.name,
        began_seconds=began_seconds,
        ended_seconds=clock.monotonic_seconds(),
        times=bitten.times,
        recovery_seconds=bitten.recovery_seconds,
        together=len(step.faults) > 1,
        trouble=trouble,
    )
