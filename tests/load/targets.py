"""Say what is to be reached, and compare what was measured with it. Pure; `docs/bench` explains each row."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import median
from typing import Any

from tests.load.figures import Figures, median_ratio


class Kind(StrEnum):
    """How a row is judged."""

    RATIO_AT_LEAST = "ratio at least"
    RATIO_AT_MOST = "ratio at most"
    OURS_AT_MOST = "ours at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row of the table: two figures by name, and what is to be reached.

    Attributes:
        steps: What has to be measured for it.
        reference: Where the figure itself is judged, a unit that it is printed in besides, or None.
    """

    id: str
    what: str
    ours: str
    reference: str | None
    unit: str
    must: float
    goal: float
    steps: tuple[str, ...]
    kind: Kind = Kind.RATIO_AT_LEAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as it was measured: medians over the rounds, the ratio that of each round.

    Attributes:
        holds: None where this was not measured, because what it measures is not there yet.
    """

    id: str
    what: str
    ours: float | None
    reference: float | None
    reference_is: str | None
    ratio: float | None
    unit: str
    judged_by: str
    must: float
    goal: float
    holds: bool | None
    reaches_goal: bool | None
    rounds: Sequence[float]

    def json(self) -> dict[str, Any]:
        """Give what is written down."""
        return asdict(self)


TRANSFERS = "transfers/s"

TARGETS = (
    Target(
        id="S1", what="apply a backlog spread over 10,000 wallets ÷ R1 spread", ours="S1", reference="R1 spread",
        unit=TRANSFERS, must=4, goal=7, steps=("R1", "S1"),
    ),
    Target(
        id="S2", what="apply into one hot wallet ÷ R1 hot", ours="S2 into", reference="R1 hot",
        unit=TRANSFERS, must=15, goal=30, steps=("R1", "S2"),
    ),
    Target(
        id="S2", what="apply out of one hot wallet ÷ R1 hot", ours="S2 out", reference="R1 hot",
        unit=TRANSFERS, must=15, goal=30, steps=("R1", "S2"),
    ),
    Target(
        id="S3", what="into one hot wallet ÷ spread, ours", ours="S2 into", reference="S1",
        unit=TRANSFERS, must=0.8, goal=1.2, steps=("S1", "S2"),
    ),
    Target(
        id="S3", what="out of one hot wallet ÷ spread, ours", ours="S2 out", reference="S1",
        unit=TRANSFERS, must=0.8, goal=1.2, steps=("S1", "S2"),
    ),
    Target(
        id="S4", what="HTTP, batches of 1,000, first request to last ending ÷ R1 spread", ours="S4",
        reference="R1 spread", unit=TRANSFERS, must=2.5, goal=5, steps=("R1", "S5", "S4"),
    ),
    Target(
        id="S5", what="HTTP, one transfer a request, 64 connections ÷ R1 spread", ours="S5", reference="R1 spread",
        unit=TRANSFERS, must=0.25, goal=0.45, steps=("R1", "S5"),
    ),
    Target(
        id="S6", what="accept single POSTs, lanes and upkeep stopped ÷ R4", ours="S6", reference="R4",
        unit="requests/s", must=0.6, goal=0.85, steps=("S6",),
    ),
    Target(
        id="S6", what="R4 ÷ R5: our edge against bare Starlette", ours="R4", reference="R5",
        unit="requests/s", must=0.4, goal=0.6, steps=("S6",),
    ),
    Target(
        id="S7", what="S5 ÷ R3: transfers applied to messages that Celery moves", ours="S5", reference="R3 consume",
        unit="/s", must=1, goal=2.5, steps=("R3", "S5"),
    ),
    Target(
        id="S8", what="accept to ended at half of S5's load, p50", ours="S8 p50", reference="R1 one client",
        unit="ms", must=50, goal=20, kind=Kind.OURS_AT_MOST, steps=("R1", "S5", "S8"),
    ),
    Target(
        id="S8", what="accept to ended at half of S5's load, p99", ours="S8 p99", reference="R1 one client",
        unit="ms", must=250, goal=80, kind=Kind.OURS_AT_MOST, steps=("R1", "S5", "S8"),
    ),
    Target(
        id="S9", what="idle, one at a time, POST until ended, p50", ours="S9 p50", reference="R1 one client",
        unit="ms", must=30, goal=10, kind=Kind.OURS_AT_MOST, steps=("R1", "S9"),
    ),
    Target(
        id="S9", what="idle, one at a time, POST until ended, p99", ours="S9 p99", reference="R1 one client",
        unit="ms", must=100, goal=20, kind=Kind.OURS_AT_MOST, steps=("R1", "S9"),
    ),
    Target(
        id="S12", what="webhooks delivered ÷ posts of a bare aiohttp loop", ours="S12", reference="S12 bare",
        unit="/s", must=0.3, goal=0.6, steps=("S12",),
    ),
    Target(
        id="S13", what="memory of the API process after S5", ours="S13 api", reference=None,
        unit="MB", must=150, goal=150, kind=Kind.OURS_AT_MOST, steps=("S5",),
    ),
    Target(
        id="S13", what="memory of a lane worker's process at its backlog", ours="S13 lanes", reference=None,
        unit="MB", must=200, goal=200, kind=Kind.OURS_AT_MOST, steps=("S13",),
    ),
    Target(
        id="S13", what="the same, last ÷ first (flat)", ours="S13 lanes last", reference="S13 lanes first",
        unit="MB", must=1.1, goal=1.05, kind=Kind.RATIO_AT_MOST, steps=("S13",),
    ),
    Target(
        id="S14", what="1,000 long-polling waiters: processor time added while nothing happens", ours="S14",
        reference=None, unit="% of a core", must=5, goal=1, kind=Kind.OURS_AT_MOST, steps=("S14",),
    ),
)  # fmt: skip

GROWTH = (
    Target(
        id="S10", what="apply (S1) in full tables ÷ in empty ones", ours="S10 apply full", reference="S10 apply empty",
        unit=TRANSFERS, must=0.7, goal=0.95, steps=("S10",),
    ),
    Target(
        id="S10", what="accept in full tables ÷ in empty ones", ours="S10 accept full",
        reference="S10 accept empty", unit=TRANSFERS, must=0.7, goal=0.9, steps=("S10",),
    ),
    Target(
        id="S11", what="a page of 100 entries of a wallet with 1,000,000 ÷ of one with 1,000", ours="S11 million",
        reference="S11 thousand", unit="ms", must=1.5, goal=1.1, kind=Kind.RATIO_AT_MOST, steps=("S11",),
    ),
)  # fmt: skip

WEBHOOK_MEMORY = (
    Target(
        id="S12", what="memory of the webhook worker, after the last tenth of the deliveries ÷ after the first",
        ours="webhooks last", reference="webhooks first", unit="MB", must=1.1, goal=1.05, kind=Kind.RATIO_AT_MOST,
        steps=(),
    ),
)  # fmt: skip


def rows(targets: Iterable[Target], *, figures: Figures) -> list[Row]:
    """Compare what was measured with what is to be reached; what was not asked for has no row."""
    return [_row(target, figures=figures) for target in targets if target.ours in figures]


def _row(target: Target, *, figures: Figures) -> Row:
    ours = figures[target.ours]
    reference = figures.get(target.reference or "", ())
    # A figure may be missing in a round where what it measures is not there yet.
    ratio = median_ratio(ours, reference) if ours and len(reference) == len(ours) else None
    ours_median = median(ours) if ours else None
    judged = ours_median if target.kind is Kind.OURS_AT_MOST else ratio
    return Row(
        id=target.id,
        what=target.what,
        ours=ours_median,
        reference=median(reference) if reference else None,
        reference_is=target.reference,
        ratio=ratio,
        unit=target.unit,
        judged_by=target.kind,
        must=target.must,
        goal=target.goal,
        holds=_reaches(judged, target.must, kind=target.kind),
        reaches_goal=_reaches(judged, target.goal, kind=target.kind),
        rounds=list(ours),
    )


def _reaches(judged: float | None, bound: float, *, kind: Kind) -> bool | None:
    if judged is None:
        return None
    return judged >= bound if kind is Kind.RATIO_AT_LEAST else judged <= bound
