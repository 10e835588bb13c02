"""Tell the demo's story as it happens: plain lines of at most eighty columns, in colour where that is welcome."""

import errno
import os
from typing import Final

from rich.console import Console

from hishab.demo.payments import EXPONENT
from hishab.money import decimal_text

INDENT: Final = "   "
MARK: Final = {True: "[ok]", False: "[NO]"}


class Audience(Console):
    """A console that may go away, as `hishab demo | head` does."""

    def on_broken_pipe(self) -> None:
        """End as any error ends, so that everything is taken back: rich would leave the process from within.

        Raises:
            BrokenPipeError: Always.
        """
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        raise BrokenPipeError(errno.EPIPE, "Nobody reads what it says")


class Story:
    """Says things, below numbered headings, on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._chapter = 0
        self._began_at = self._chapter_at = console.get_time()

    def chapter(self, title: str) -> None:
        """Begin something new."""
        self._chapter += 1
        self._chapter_at = self.console.get_time()
        self._print(f"\n{self._chapter}. {title}", style="bold")

    @property
    def chapter_seconds(self) -> float:
        """Return how long this chapter has taken so far."""
        return self.console.get_time() - self._chapter_at

    @property
    def seconds(self) -> float:
        """Return how long all of it has taken so far."""
        return self.console.get_time() - self._began_at

    def say(self, *lines: str, style: str = "") -> None:
        """Say lines of what belongs to the chapter."""
        self._print("\n".join(f"{INDENT}{line}".rstrip() for line in lines or [""]), style=style)

    def verdict(self, *lines: str, holds: bool) -> None:
        """Say whether something is as it should be."""
        first, *others = lines
        said = [f"{MARK[holds]} {first}", *(f"{' ' * len(MARK[holds])} {line}" for line in others)]
        self.say(*said, style="green" if holds else "bold red")

    def complain(self, text: str) -> None:
        """Show the last words of the system, as they stand."""
        self._print(f"\nThe last words of the system:\n{text}\n")

    def outside(self, text: str) -> None:
        """Say something before the first chapter or after the last."""
        self._print(text)

    def _print(self, text: str, *, style: str = "") -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def money(amount_minor: int) -> str:
    """Write an amount for people: 12,345.60."""
    whole, _, fraction = decimal_text(amount_minor, exponent=EXPONENT).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}.{fraction}"
