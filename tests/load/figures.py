"""Reckon with what was measured: percentiles, medians over rounds, ratios taken round by round. Pure."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import median

Figures = Mapping[str, Sequence[float]]
"""What was measured, by name: one figure a round."""


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest of the values that at least this share of them does not exceed."""
    assert values, "no values, no percentile"
    assert 0 < share <= 1, share
    # Rounded first: 0.07 * 100 is a little above 7, and would come out as the eighth.
    return sorted(values)[ceil(round(share * len(values), 6)) - 1]


def median_ratio(ours: Sequence[float], reference: Sequence[float]) -> float:
    """Give the median of the ratios of each round: what slowed down a whole round slowed down both sides of it."""
    return median(one / other for one, other in zip(ours, reference, strict=True))


def slope_per_minute(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Say by how much the values rise in a minute: the straight line through them (least squares)."""
    if len(values) < 2:
        return 0.0
    mean_seconds, mean_value = sum(seconds) / len(seconds), sum(values) / len(values)
    spread = sum((at - mean_seconds) ** 2 for at in seconds)
    together = sum((at - mean_seconds) * (value - mean_value) for at, value in zip(seconds, values, strict=True))
    return 60 * together / spread if spread else 0.0
