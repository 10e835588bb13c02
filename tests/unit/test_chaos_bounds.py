"""Whatever grows over a run of chaos, and whatever takes longer than it may, is found; what is sound is left alone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.chaos.bounds import Footprint, unbounded
from tests.chaos.collect import Times
from tests.chaos.fault import Bite, Doing, Measure
from tests.chaos.figures import by_fault
from tests.chaos.history import Kind, Operation, Outcome
from tests.chaos.judge_bounds import bounds_of
from tests.chaos.memory import LIFE_SECONDS_MIN, Growth, Process, growths
from tests.chaos.run import failures
from tests.chaos.world import World

QUIET = Footprint(connections=10, sessions_held_up=0, broker_keys=5, messages=0, memory_mb={"api": 100.0})
DEAD = {"queue": (40, 50.0), "wallets": (54, 54.0)}
STEADY = Growth(kind="api", life_seconds=90, first_mb=100, last_mb=119)

GROWN: dict[str, tuple[Footprint, dict[str, tuple[int, float]], Growth]] = {
    "41 connections, more than 40": (replace(QUIET, connections=41), DEAD, STEADY),
    "1 transactions open for long, more than 0": (replace(QUIET, sessions_held_up=1), DEAD, STEADY),
    "21 keys in the broker, more than 20": (replace(QUIET, broker_keys=21), DEAD, STEADY),
    "101 messages in the broker, more than 100": (replace(QUIET, messages=101), DEAD, STEADY),
    "301 MB in api, more than 300": (replace(QUIET, memory_mb={"api": 301.0}), DEAD, STEADY),
    "51 dead rows in queue, more than 50": (QUIET, {**DEAD, "queue": (51, 50.0)}, STEADY),
    "100 MB at first, 121 MB at last in api, alive for 90 s": (QUIET, DEAD, STEADY._replace(last_mb=121)),
}


def test_what_is_bounded_is_found_bounded() -> None:
    assert unbounded(QUIET, QUIET, dead_rows=DEAD, growths=[STEADY]) == (8, [])


@pytest.mark.parametrize("what", GROWN)
def test_what_has_grown_is_found(what: str) -> None:
    after, dead_rows, growth = GROWN[what]
    assert unbounded(QUIET, after, dead_rows=dead_rows, growths=[growth])[1] == [what]


def life(pid: int, *, began: float, ended: float, held: Callable[[float], float]) -> list[tuple[float, int, float]]:
    """What a process held twice a second, from beginning to end, by how old it was."""
    ages = [step / 2 for step in range(int((ended - began) * 2) + 1)]
    return [(began + age, pid, held(age)) for age in ages]


def grown(*lives: Sequence[tuple[float, int, float]]) -> list[Growth]:
    """Judge the lives of one kind of process."""
    seen = sorted(look for one in lives for look in one)
    return growths([(at, {Process("api", "api", pid): mb}) for at, pid, mb in seen])


class TestGrowths:
    def test_a_leak_is_found(self) -> None:
        (growth,) = grown(life(1, began=0, ended=90, held=lambda age: 80 + age / 2))
        assert not growth.is_bounded
        assert (growth.first_mb, growth.last_mb) == (87.5, 117.5)

    def test_what_fills_up_at_first_is_none_nor_is_a_moment(self) -> None:
        def held(age: float) -> float:
            return min(100.0, 40 + 12 * age) + (500 if age == 80 else 0)

        (growth,) = grown(life(1, began=0, ended=90, held=held))
        assert growth.is_bounded

    def test_whoever_is_restarted_starts_anew(self) -> None:
        """Twice as much after a restart is another process, and the longest life is what counts."""
        old = life(1, began=0, ended=60, held=lambda _: 50)
        new = life(2, began=61, ended=200, held=lambda _: 100)
        (growth,) = grown(old, new)
        assert (growth.life_seconds, growth.first_mb, growth.last_mb) == (139, 100, 100)

    def test_a_short_life_says_nothing(self) -> None:
        assert grown(life(1, began=0, ended=LIFE_SECONDS_MIN - 1, held=lambda age: 50 * age)) == []


def posted(at: float, *, took: float = 0.1, status: int | None = 202, waits: bool = False) -> Operation:
    accepted = status is not None and status < 400
    return Operation(
        number=0,
        kind=Kind.SUBMIT,
        about="k",
        person=0,
        asked=None,
        invoked_seconds=at,
        waits=waits,
        answered_seconds=at + took,
        outcome=Outcome.OK if accepted else Outcome.UNKNOWN,
        status=status,
        trouble=None if status else "ReadTimeout",
    )


def ended(accepted: float, *, after: float) -> Times:
    return Times(datetime.fromtimestamp(accepted, UTC), datetime.fromtimestamp(accepted + after, UTC))


def measured(measure: Measure, *, operations: Sequence[Operation] = (), times: Sequence[Times] = ()) -> float | None:
    """Measure a fault that bit alone from 100 to 110, beside others from 200 on; something else bit from 120 on."""
    bites = [
        Bite(fault="F1", began_seconds=100, ended_seconds=110, times=1),
        Bite(fault="F2", began_seconds=120, ended_seconds=130, times=1),
        Bite(fault="F1", began_seconds=200, ended_seconds=210, times=1, together=True),
    ]
    first, _ = by_fault(bites, operations=operations, times=times, epoch_seconds=0)
    return first.measured.get(measure)


class TestMeasures:
    def test_a_post_counts_while_the_fault_bites_alone(self) -> None:
        operations = [posted(99, took=9), posted(105, took=0.5), posted(111, took=9), posted(205, took=9)]
        assert measured(Measure.ANSWERED_P99, operations=operations) == pytest.approx(0.5)

    def test_whoever_asked_to_wait_is_not_kept_waiting(self) -> None:
        operations = [posted(105, took=0.5), posted(106, took=2.0, waits=True)]
        assert measured(Measure.ANSWERED_P99, operations=operations) == pytest.approx(0.5)

    def test_what_was_not_accepted_is_counted_unless_its_key_was_in_use(self) -> None:
        operations = [posted(101), posted(102, status=503), posted(103, status=None), posted(104, status=409)]
        assert measured(Measure.NOT_ACCEPTED, operations=operations) == 2

    def test_errors_count_until_something_else_bites(self) -> None:
        operations = [
            posted(105, status=503),
            posted(114, status=503),
            posted(121, status=503),
            posted(205, status=503),
        ]
        assert measured(Measure.ERRORS, operations=operations) == 4

    def test_whoever_had_just_asked_when_something_else_bit_met_that(self) -> None:
        operations = [
            posted(112, took=0.5, status=503),
            posted(119.5, took=5, status=503),
            posted(119.8, took=9, status=None),
        ]
        assert measured(Measure.ERRORS, operations=operations) == 2

    def test_whoever_waited_since_long_before_met_what_was_before(self) -> None:
        assert measured(Measure.ERRORS, operations=[posted(117, took=7, status=503)]) == 7

    def test_no_error_after_it_is_none(self) -> None:
        assert measured(Measure.ERRORS, operations=[posted(105, status=503), posted(111)]) == 0

    def test_recovery_ends_with_what_was_accepted_after_it(self) -> None:
        times = [ended(109, after=2), ended(111, after=6), ended(112, after=3)]
        assert measured(Measure.RECOVERY, times=times) == pytest.approx(5)

    def test_the_end_is_that_of_what_was_accepted_meanwhile(self) -> None:
        times = [ended(99, after=99), ended(101, after=1), ended(109, after=4), ended(111, after=99)]
        assert measured(Measure.ENDED_P99, times=times) == pytest.approx(4)
        assert measured(Measure.ENDED_MAX, times=times) == pytest.approx(4)

    def test_what_is_not_there_is_not_measured(self) -> None:
        assert measured(Measure.RECOVERY) is measured(Measure.ANSWERED_P99) is measured(Measure.ENDED_P99) is None


def breaking(world: World, *, seconds: float, chance: random.Random) -> int:
    return 1


class TestBounds:
    def judged(self, *, recovery_seconds: float | None, slack: float = 1.0) -> list[str]:
        fault = Doing(name="F7", what="breaks", does=breaking, bounds={Measure.RECOVERY: 20.0})
        bite = Bite(fault="F7", began_seconds=1, ended_seconds=9, times=1, recovery_seconds=recovery_seconds)
        figures = by_fault([bite], operations=[], times=[], epoch_seconds=0)
        bounds = bounds_of(figures, faults=[fault], slack=slack)
        return failures([fault], [bite], [], bounds=bounds, together=False)

    def test_one_that_is_kept_is_no_failure(self) -> None:
        assert self.judged(recovery_seconds=3.1) == []

    def test_one_that_is_missed_fails_the_run(self) -> None:
        assert self.judged(recovery_seconds=20.5) == ["F7: recovery 20.50 s, must 20 s"]

    def test_one_that_was_not_measured_fails_it_too(self) -> None:
        assert self.judged(recovery_seconds=None) == ["F7: recovery not measured, must 20 s"]

    def test_slack_is_told_of(self) -> None:
        assert self.judged(recovery_seconds=39, slack=2) == []
        assert self.judged(recovery_seconds=41, slack=2) == ["F7: recovery 41.00 s, must 20 s, here 2 times that"]
