"""Does the bench judge and show what it measured as it should?"""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.load.checker import Faults
from tests.load.report import WIDTH, report, show, write
from tests.load.run import EACH_ROUND, ONCE, steps_for
from tests.load.targets import GROWTH, TARGETS, WEBHOOK_MEMORY, Kind, Target, rows

MACHINE = {
    "cpu": "Abacus",
    "cores": 2,
    "memory_mb": 4_096,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "postgresql": {"server_version": "18.6", "fsync": "on", "synchronous_commit": "on"},
}
FIGURES = {"S1": [8_000.0, 9_000.0, 8_500.0], "R1 spread": [2_000.0, 1_000.0, 2_000.0], "R1 one client": [1.0]}


def target(kind: Kind, *, must: float = 4, goal: float = 7) -> Target:
    return Target(
        id="S1", what="apply", ours="S1", reference="R1 spread", unit="transfers/s", must=must, goal=goal,
        kind=kind, steps=("R1", "S1"),
    )  # fmt: skip


def test_a_row_has_the_medians_of_both_sides_and_the_median_of_their_ratios() -> None:
    (row,) = rows([target(Kind.RATIO_AT_LEAST)], figures=FIGURES)
    assert (row.ours, row.reference, row.ratio) == (8_500, 2_000, 4.25)
    assert (row.holds, row.reaches_goal) == (True, False)


@pytest.mark.parametrize(
    ("kind", "must", "holds"),
    [
        (Kind.RATIO_AT_LEAST, 4.25, True),
        (Kind.RATIO_AT_LEAST, 4.3, False),
        (Kind.RATIO_AT_MOST, 4.25, True),
        (Kind.RATIO_AT_MOST, 4.2, False),
        (Kind.OURS_AT_MOST, 8_500, True),
        (Kind.OURS_AT_MOST, 8_499, False),
    ],
)
def test_each_kind_of_row_holds_up_to_its_bound(kind: Kind, must: float, holds: bool) -> None:  # noqa: FBT001 (a case)
    (row,) = rows([target(kind, must=must)], figures=FIGURES)
    assert row.holds is holds


def test_what_was_not_asked_for_has_no_row() -> None:
    assert rows(TARGETS, figures={"R1 spread": [1.0]}) == []


def test_what_was_not_compared_in_the_same_rounds_is_not_judged() -> None:
    (row,) = rows([target(Kind.RATIO_AT_LEAST)], figures={**FIGURES, "R1 spread": [2_000.0]})
    assert (row.ratio, row.holds) == (None, None)


def test_the_written_report_has_the_agreed_shape(tmp_path: Path) -> None:
    compared = rows(TARGETS, figures=FIGURES)
    write(
        tmp_path / "bench" / "latest.json",
        reported=report(compared, machine=MACHINE, figures=FIGURES, faults=Faults(checked=3), points={}),
    )
    written = json.loads((tmp_path / "bench" / "latest.json").read_bytes())
    assert written["machine"] == MACHINE
    (row,) = written["rows"]
    agreed = ("id", "what", "ours", "reference", "ratio", "must", "goal", "holds")
    assert [row[name] for name in agreed] == ["S1", TARGETS[0].what, 8_500, 2_000, 4.25, 4, 7, True]
    assert written["correctness"]["checked"] == 3


def test_the_table_shows_both_sides_the_verdict_and_the_machine() -> None:
    shown_on = StringIO()
    console = Console(width=WIDTH, file=shown_on)
    compared = rows(TARGETS, figures=FIGURES)
    faults = Faults(checked=3, lost=1, named=("lost: t1",))
    show(console, compared, reported=report(compared, machine=MACHINE, figures=FIGURES, faults=faults, points={}))
    shown = shown_on.getvalue()
    for said in ("8,500 transfers/s", "2,000", "4.25", "≥ 4", "yes", "Abacus", "fsync on", "lost 1", "lost: t1"):
        assert said in shown


def test_each_row_names_steps_that_there_are() -> None:
    assert {step for row in TARGETS for step in row.steps} <= EACH_ROUND.keys() | ONCE.keys()


def test_one_row_brings_the_references_that_it_needs() -> None:
    assert steps_for(TARGETS, only={"S1"}) == ["R1", "S1"]


def test_everything_is_measured_unless_something_is_named() -> None:
    assert steps_for(TARGETS, only=()) == [*EACH_ROUND, *ONCE]


def test_every_goal_is_at_least_as_far_as_what_must_be_reached() -> None:
    for row in (*TARGETS, *GROWTH, *WEBHOOK_MEMORY):
        assert row.goal >= row.must if row.kind is Kind.RATIO_AT_LEAST else row.goal <= row.must
