"""Say what a run is doing and how long each thing took, so that everybody sees where the minutes go."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.clock import monotonic_seconds

SHOWN_SECONDS = 0.1
"""Shorter parts are not named."""


@dataclass(slots=True, kw_only=True)
class Timeline:
    """One thing after the other, each with the parts of it that are not measuring.

    Attributes:
        say: Shows what is being done at the moment.
        keep: Shows what is over, in a line that stays.
    """

    say: Callable[[str], None]
    keep: Callable[[str], None]
    _what: str = ""
    _start_seconds: float = field(default_factory=monotonic_seconds)
    _first_seconds: float = field(default_factory=monotonic_seconds)
    _parts: Counter[str] = field(default_factory=Counter[str])

    def begin(self, what: str) -> None:
        """Go on to the next thing."""
        self.end()
        self._what, self._start_seconds = what, monotonic_seconds()
        self.say(what)

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Count what is done in the block as a part of it."""
        start_seconds = monotonic_seconds()
        try:
            yield
        finally:
            # In hundredths: a counter counts whole ones.
            self._parts[name] += round(100 * (monotonic_seconds() - start_seconds))

    def end(self) -> None:
        """Keep what the last thing took."""
        if self._what:
            now_seconds = monotonic_seconds()
            minutes, seconds = divmod(int(now_seconds - self._first_seconds), 60)
            parts = ", ".join(
                f"{name} {hundredths / 100:.1f}"
                for name, hundredths in self._parts.most_common()
                if hundredths / 100 >= SHOWN_SECONDS
            )
            took_seconds = now_seconds - self._start_seconds
            self.keep(f"{minutes:3}:{seconds:02}  {took_seconds:5.1f} s  {self._what}{parts and f' ({parts})'}")
        self._what = ""
        self._parts.clear()
