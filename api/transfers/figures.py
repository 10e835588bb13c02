"""Count what passes one door to the queue, in plain numbers: whoever asks for metrics reads them."""

from collections import Counter
from typing import Final

from api import problems
from shared.domain.errors import OutcomeUnknown, RequestRefused
from shared.domain.histogram import Histogram

GROUP_BOUNDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
WRITE_BOUNDS_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

DEFECT: Final = "internal_error"


class Figures:
    """What one door of one process has seen since it started.

    Attributes:
        accepted: Transfers that were put into the queue.
        replayed: Requests that were accepted before.
        refused: Requests by the code that they were answered with.
        standby_warnings: Writes that stand on the primary alone.
        group_sizes: Transfers that were asked for together.
        write_seconds: From taking a group out of the line to its commit, or its failure.
    """

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self.accepted = 0
        self.replayed = 0
        self.refused: Counter[str] = Counter()
        self.standby_warnings = 0
        self.group_sizes = Histogram(GROUP_BOUNDS)
        self.write_seconds = Histogram(WRITE_BOUNDS_SECONDS)

    def count_accepted(self, *, transfers: int, replayed: bool) -> None:
        """Count a request that was accepted."""
        if replayed:
            self.replayed += 1
        else:
            self.accepted += transfers

    def count_refused(self, reason: RequestRefused) -> None:
        """Count a request that was refused."""
        self.refused[problems.code_of(type(reason))] += 1

    def count_defect(self) -> None:
        """Count a request that a defect of ours met with."""
        self.refused[DEFECT] += 1

    def count_failed_write(self, reason: RequestRefused) -> None:
        """Count a write that came to nothing, or to nothing that is known."""
        self.standby_warnings += isinstance(reason, OutcomeUnknown) and reason.on_primary_only
