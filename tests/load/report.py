"""Show what was measured: a table in the terminal, and JSON for whoever compares runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.load.checker import Faults
from tests.load.figures import Figures
from tests.load.machine import sentence
from tests.load.targets import Kind, Row

WIDTH = 150
"""Of a table that is not shown in a terminal."""

NOT_JUDGED = ("R2", "R3 publish", "ceiling", "R1 one client")
"""Figures that are shown although no row stands on them."""


def report(
    rows: Sequence[Row], *, machine: Mapping[str, Any], figures: Figures, faults: Faults, points: Mapping[str, Any]
) -> dict[str, Any]:
    """Put together what is written down."""
    return {
        "machine": dict(machine),
        "rows": [row.json() for row in rows],
        "correctness": asdict(faults),
        "figures": {name: list(values) for name, values in figures.items()},
        "points": dict(points),
    }


def write(path: Path, *, reported: Mapping[str, Any]) -> None:
    """Write it down."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(reported, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(console: Console, rows: Sequence[Row], *, reported: Mapping[str, Any]) -> None:
    """Print the table, both sides of each ratio, and what the checks found."""
    table = Table(title="Hishab, measured", caption=sentence(reported["machine"]), caption_justify="left")
    for heading in ("", "what", "ours", "reference", "ratio", "must", "goal", "holds"):
        table.add_column(heading, justify="left" if heading in {"", "what"} else "right", overflow="fold")
    for row in rows:
        sign = "≥" if row.judged_by == Kind.RATIO_AT_LEAST else "≤"
        table.add_row(
            row.id,
            row.what,
            f"{number(row.ours)} {row.unit}",
            number(row.reference),
            number(row.ratio),
            f"{sign} {number(row.must)}",
            f"{sign} {number(row.goal)}",
            verdict(row),
        )
    if rows:
        console.print(table)
    figures: Figures = reported["figures"]
    show_figures(
        console,
        {
            _TITLES.get(name, name): median(values)
            for name, values in figures.items()
            if values and (name in NOT_JUDGED or not rows)
        },
    )
    _show_correctness(console, reported["correctness"])


def show_figures(console: Console, figures: Mapping[str, float]) -> None:
    """Print figures that nothing is compared with."""
    for name, value in figures.items():
        console.print(f"{name}: {number(value)}")


def number(value: float | None) -> str:
    """Spell a number with as many digits as mean something."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 or value == int(value) else 2
    return f"{value:,.{digits}f}"


def verdict(row: Row) -> str:
    """Say in a word how a row stands."""
    if row.holds is None:
        return "not measured"
    if not row.holds:
        return "NO"
    return "yes, goal" if row.reaches_goal else "yes"


_TITLES = {
    "R2": "R2, pgbench's own script, commits/s",
    "R3 publish": "R3, Celery messages published a second",
    "ceiling": "The load generator's own ceiling (a server that does nothing), requests/s",
    "R1 one client": "R1 of one client, ms a transfer: the unit of the latencies",
}


def _show_correctness(console: Console, faults: Mapping[str, Any]) -> None:
    counts = {name: value for name, value in faults.items() if name not in {"checked", "refused", "named"}}
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counts.items())
    console.print(f"{faults['checked']:,} transfers checked, {faults['refused']:,} refused as they had to be: {told}.")
    for case in faults["named"]:
        console.print(f"  {case}", style="red")
