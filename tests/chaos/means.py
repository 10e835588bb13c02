"""Find out whether this machine has what a fault needs."""

from typing import assert_never

from tests.chaos import clocks, small_disk
from tests.chaos.fault import Need


def missing(need: Need) -> str | None:
    """Say why a need cannot be met here; nothing if it can."""
    match need:
        case Need.RELAYS:
            return None
        case Need.SMALL_DISK:
            return small_disk.why_not()
        case Need.FAKED_CLOCK:
            return clocks.why_not()
        case _:
            assert_never(need)
