"""How often a PIN may be tried: five failures, then one at a time, after waits that double."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.log_in import Failures, Wait, attempt
from shared.domain.pin import is_too_common

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NONE = Failures(count=0, last_at=NOW, locked_until=None)


def failed(times: int, *, every: timedelta = timedelta()) -> Failures:
    known = NONE
    for number in range(times):
        counted = attempt(known, at=NOW + number * every)
        assert isinstance(counted, Failures)
        known = counted
    return known


def test_five_may_be_tried_and_the_sixth_waits() -> None:
    assert failed(4).locked_until is None
    known = failed(5)
    assert known.locked_until == NOW + timedelta(seconds=30)
    assert isinstance(attempt(known, at=NOW + timedelta(seconds=29.9)), Wait)
    assert attempt(known, at=NOW) == Wait(seconds=31)


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    known, at, waits = failed(5), NOW, list[float]()
    for _ in range(1_000):
        assert known.locked_until is not None
        waits.append((known.locked_until - at).total_seconds())
        at = known.locked_until
        counted = attempt(known, at=at)
        assert isinstance(counted, Failures)
        known = counted
    assert waits[:7] == [30, 60, 120, 240, 480, 900, 900]
    assert waits[-1] == 900


def test_failures_are_forgotten_after_a_quiet_quarter_of_an_hour() -> None:
    known = failed(4)
    counted = attempt(known, at=NOW + timedelta(minutes=15, seconds=1))
    assert isinstance(counted, Failures)
    assert (counted.count, counted.locked_until) == (1, None)


def test_five_that_come_slowly_are_five() -> None:
    assert failed(5, every=timedelta(minutes=14)).locked_until is not None


def test_whoever_had_to_wait_gets_no_five_more_for_having_waited() -> None:
    known = failed(5)
    counted = attempt(known, at=NOW + timedelta(hours=23))
    assert isinstance(counted, Failures)
    assert counted.count == 6
    counted = attempt(known, at=NOW + timedelta(hours=25))
    assert isinstance(counted, Failures)
    assert counted.count == 1


@pytest.mark.parametrize("pin", ["12345", "00000", "11111", "99999", "01234", "54321", "98765", "67890", "13579"])
def test_what_anybody_would_try_first_is_too_common(pin: str) -> None:
    assert is_too_common(pin)


def test_few_pins_are_too_common() -> None:
    common = [pin for pin in map("{:05}".format, range(100_000)) if is_too_common(pin)]
    assert len(common) == 10 + 10 + 10 + 6
