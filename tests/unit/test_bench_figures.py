"""Does the bench reckon rightly with what it measured?"""

import pytest

from tests.load.figures import median_ratio, percentile, slope_per_minute


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.07, 7), (0.5, 50), (0.9, 90), (0.99, 99), (0.991, 100), (1, 100)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.5], 0.99) == 7.5


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(AssertionError):
        percentile([], 0.5)


def test_a_slow_round_slows_down_both_sides_and_moves_no_ratio() -> None:
    assert median_ratio([40, 4, 44], [10, 1, 11]) == 4


def test_the_ratio_is_the_median_of_those_of_the_rounds() -> None:
    assert median_ratio([10, 90, 30], [10, 10, 10]) == 3


def test_rounds_that_miss_a_side_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1, 2], [1])


def test_what_rises_steadily_has_its_rise_as_slope() -> None:
    assert slope_per_minute([0, 10, 20, 30], [100, 101, 102, 103]) == pytest.approx(6)


@pytest.mark.parametrize("values", [[5, 5, 5], [5]])
def test_what_stays_has_no_slope(values: list[float]) -> None:
    assert slope_per_minute(list(range(len(values))), values) == 0
