"""What breaks when follows from the seed alone, and a fault that never bit is told of."""

import random
from itertools import islice
from typing import cast

import pytest

from tests.chaos.__main__ import possible
from tests.chaos.fault import Bite, Doing, Fault, Need
from tests.chaos.run import failures
from tests.chaos.schedule import TOGETHER_COUNT, TOGETHER_STEPS, Step, steps, take
from tests.chaos.world import World

WORLD = cast("World", None)
"""Which these faults leave alone."""


def biting(times: int) -> Doing:
    def bite(world: World, *, seconds: float, chance: random.Random) -> int:
        return times

    return Doing(name=f"F{times}", what=f"bites {times} times", does=bite)


def failing(world: World, *, seconds: float, chance: random.Random) -> int:
    raise OSError("nothing to break")


FAULTS: list[Fault] = [biting(times) for times in range(5)]


def names(seed: int, *, together: bool) -> list[str]:
    return [step.name for step in islice(steps(FAULTS, together=together, seed=seed), 30)]


def test_the_same_seed_breaks_the_same_things() -> None:
    assert names(7, together=True) == names(7, together=True)
    assert names(7, together=True) != names(8, together=True)


def test_each_bites_alone_before_several_bite_at_once() -> None:
    planned = names(7, together=True)
    alone, at_once = planned[: len(FAULTS)], planned[len(FAULTS) : len(FAULTS) + TOGETHER_STEPS]
    assert sorted(alone) == [fault.name for fault in FAULTS]
    assert all("+" in name for name in at_once)
    assert not any("+" in name for name in names(7, together=False))


def test_none_is_left_out_of_those_that_bite_at_once() -> None:
    at_once = names(7, together=True)[len(FAULTS) : len(FAULTS) + TOGETHER_STEPS]
    taken = [name.split("+") for name in at_once]
    assert all(len(set(step)) == TOGETHER_COUNT for step in taken)
    assert {name for step in taken[:2] for name in step} == {fault.name for fault in FAULTS}


def test_a_fault_that_never_bit_beside_others_fails_the_run_once_it_had_its_chances() -> None:
    step = Step(faults=[biting(0), biting(2)], seed="1")
    alone = Bite(fault="F0", began_seconds=0, ended_seconds=1, times=1)
    bites = [alone, *take(WORLD, step)]
    assert failures([], bites, [], together=True) == []
    assert failures([], [*bites, *take(WORLD, step)], [], together=True) == [
        "F0 bit in none of the 2 windows of F22 that it was in"
    ]


def test_a_fault_that_never_bit_fails_the_run() -> None:
    bites = take(WORLD, Step(faults=[biting(0), biting(2)], seed="1"))
    assert {bite.fault: bite.times for bite in bites} == {"F0": 0, "F2": 2}
    assert failures([biting(0), biting(2)], bites, [], together=True) == ["F0 never bit"]


def test_a_fault_that_cannot_be_done_fails_the_run_and_ends_no_other() -> None:
    fault = Doing(name="F9", what="fails", does=failing)
    bites = take(WORLD, Step(faults=[fault], seed="1")) + take(WORLD, Step(faults=[biting(1)], seed="2"))
    assert failures([fault, biting(1)], bites, [], together=False) == [
        "F9 never bit",
        "F9 could not be done: OSError: nothing to break",
    ]


def needing(name: str, *needs: Need) -> Doing:
    return Doing(name=name, what="needs something", does=failing, needs=frozenset(needs))


def has_no_disk(need: Need) -> str | None:
    return "no disk is small" if need is Need.SMALL_DISK else None


def test_what_cannot_be_had_here_is_left_out_and_said() -> None:
    relayed, filled = needing("F11", Need.RELAYS), needing("F15", Need.RELAYS, Need.SMALL_DISK)
    assert possible([relayed, filled], named=(), missing=has_no_disk) == ([relayed], {"F15": "no disk is small"})


def test_what_cannot_be_had_here_and_was_asked_for_by_name_is_refused_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match=r"^F15 cannot be had here: no disk is small\.$"):
        possible([needing("F15", Need.SMALL_DISK)], named=["F15"], missing=has_no_disk)
