"""Count how values are spread, in buckets that can be summed over batches, lanes and processes."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

ENDING_BOUNDS_SECONDS: Final = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
)  # fmt: skip
"""From accepted to applied. `lanes.ending_counts` has a place for each and one for what took longer: whoever changes
them empties that column in the same migration. Fine around 20, 50, 80 and 250 ms, which speed.md promises."""


class Histogram:
    """How many values fell into each bucket, and what they sum to."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Have counted nothing yet.

        Args:
            bounds: Upper ones, each of its own bucket, in rising order; what is above the last has a bucket as well.
        """
        self.bounds: Final = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Count values."""
        bounds, counts = self.bounds, self.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            self.total += value
