"""Show people how far a command has come: a bar on a terminal, a line now and then elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

LINE_SECONDS = 5.0
"""How seldom a line is written where there is no bar: a log should not fill with them. Source: decision."""


class Progress:
    """How far each stage of a command has come. A context manager, since a bar holds the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self._stage = TaskID(0)
        self._label, self._total, self._done = "", 0, 0
        self._line_at = self._console.get_time()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, label: str, *, total: int) -> None:
        """Begin the next stage, of `total` things to do."""
        self._label, self._total, self._done = label, total, 0
        self._stage = self._bar.add_task(label, total=total)
        self._line_at = self._console.get_time()

    def advance(self, count: int = 1) -> None:
        """Say that `count` more things of this stage are done."""
        self._done += count
        self._bar.advance(self._stage, count)
        if not self._console.is_terminal and self._is_time_for_a_line():
            self._line_at = self._console.get_time()
            self._console.print(f"{self._label}: {self._done} of {self._total}", highlight=False)

    def _is_time_for_a_line(self) -> bool:
        return self._done == self._total or self._console.get_time() - self._line_at >= LINE_SECONDS
