"""Give each part of a system a clock that can be set: libfaketime stands between it and the kernel."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hishab.launch_plan import MODULES
from tests.chaos import clock_of_part

PARTS = ("api", "lanes", "upkeep", "webhooks")

PLACES = (
    "lib/*/faketime/libfaketimeMT.so.1",
    "lib*/faketime/libfaketimeMT.so.1",
    "local/lib/faketime/libfaketimeMT.so.1",
)
"""Under /usr: of Debian, of others, of who has built it."""

NOTICED_SECONDS = 1
"""How long a part goes on by the last look at its clock. libfaketime counts in whole seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks of all parts, right until they are set.

    Attributes:
        place: Holds a file for each part, named by the last word of its command: how far it is ahead.
    """

    place: Path
    library: Path

    @classmethod
    def of(cls, place: Path) -> "Clocks":
        """Put them into a directory of their own."""
        library = _library()
        assert library is not None, why_not()
        place.mkdir()
        clocks = cls(place=place, library=library)
        clocks.set_right()
        return clocks

    @property
    def environment(self) -> Mapping[str, str]:
        """What a system is started with, to read its time from them."""
        looked_up_first = Path(clock_of_part.__file__).parent
        paths = [str(looked_up_first), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "LD_PRELOAD": str(self.library),
            "PYTHONPATH": os.pathsep.join(paths),
            "CHAOS_CLOCKS": str(self.place),
            "FAKETIME_CACHE_DURATION": str(NOTICED_SECONDS),
            # As on a machine whose clock is set: what was measured on the monotonic one stays so, and so do files.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            # Else each wait of a thread for another ends at once, and whoever waits for the interpreter takes it away.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, part: str, *, ahead_seconds: int) -> None:
        """Set one, forward from the true time or, below zero, back; it acts within about a second."""
        file = self.place / MODULES[part][-1]
        written = file.with_suffix(".new")
        written.write_text(f"{ahead_seconds:+d}", encoding="ascii")
        # At once: a part must not read half of it.
        written.replace(file)

    def set_right(self) -> None:
        """Set all of them to the true time."""
        for part in PARTS:
            self.set(part, ahead_seconds=0)


def why_not() -> str | None:
    """Say why there can be none here; nothing if there can."""
    return None if _library() else "there is no libfaketime (Debian: apt-get install libfaketime)"


def _library() -> Path | None:
    return next((file for pattern in PLACES for file in sorted(Path("/usr").glob(pattern))), None)
