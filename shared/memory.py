"""Have Python look for garbage seldom: hardly any here is in cycles, and each look costs what it looks at."""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 100_000
"""Objects made before Python looks at the young ones; its default is 700 (3.11), which a batch of 1,000 passes tens of
times. A lane drained 30% more with this (20,000 transfers in-process, in turn, quiet machine: docs/decisions/0023)."""

LOOKS: Final = 20
"""Looks at the young, and then at the middle-aged, for each at the next older."""


def collect_seldom() -> None:
    """Set what exists by now aside for good, and look at what is made from now on once in a while."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, LOOKS, LOOKS)
