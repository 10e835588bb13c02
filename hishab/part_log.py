"""Say what happens, each line under the name of the part that said it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TextIO

LAUNCHER: Final = "hishab"

# Cyan, green, yellow, magenta, blue and their bright kin: red is left to errors.
COLOURS: Final = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class PartLog:
    """Writes whole lines to a stream, prefixed with an aligned name."""

    def __init__(self, stream: TextIO, *, names: Sequence[str], coloured: bool) -> None:
        self._stream = stream
        names = (LAUNCHER, *names)
        width = max(map(len, names))
        self._prefixes = {name: f"{name:<{width}} |" for name in names}
        if coloured:
            self._prefixes = {
                name: f"\x1b[{COLOURS[number % len(COLOURS)]}m{prefix}\x1b[0m"
                for number, (name, prefix) in enumerate(self._prefixes.items())
            }

    def say(self, text: str, *, name: str = LAUNCHER) -> None:
        """Write one line."""
        # Whoever read along may have gone; that is no reason to stop serving.
        with suppress(BrokenPipeError):
            print(self._prefixes[name], text, file=self._stream, flush=True)


def wants_colour(stream: TextIO, *, environment: Mapping[str, str]) -> bool:
    """Tell whether colours are welcome. Source: no-color.org (set and not empty means no)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
