"""Does the operators' page list every setting, with its default and who reads it, and how long each of us waits?"""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from shared.database.connections import API, AUDIT, INTAKE, MIGRATION, WORKER, Timeouts
from shared.settings import ApiSettings, MigrationSettings, Settings, WorkerSettings

PAGE = Path(__file__).parents[2] / "docs" / "operate.md"
KINDS: dict[str, type[Settings]] = {"migrate": MigrationSettings, "API": ApiSettings, "workers": WorkerSettings}

ROW = re.compile(r"^\| `(?P<name>[a-z_]+)` \| (?P<readers>[^|]+) \| (?:`(?P<default>[^`]*)`|none) \| (?P<what>.+) \|$")


def default_of(field: FieldInfo) -> str | None:
    default: Any = field.default
    if field.is_required() or default in {None, ()}:
        return None
    parts: list[Any] = [*default] if isinstance(default, tuple) else [default]
    return ",".join(map(str, parts))


def described() -> dict[str, tuple[str, str | None]]:
    """Read who reads each setting, and its default, out of the settings themselves."""
    fields = {name: field for kind in KINDS.values() for name, field in kind.model_fields.items()}
    return {
        name: (
            "all"
            if name in Settings.model_fields
            else ", ".join(reader for reader, kind in KINDS.items() if name in kind.model_fields),
            default_of(field),
        )
        for name, field in fields.items()
    }


def test_lists_every_setting_as_it_is() -> None:
    rows = [ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    shown = {row["name"]: (row["readers"], row["default"]) for row in rows if row}
    assert shown == described()


@pytest.mark.parametrize(
    ("who", "timeouts"),
    [("API, health checks", API), ("workers, upkeep", WORKER), ("an audit", AUDIT), ("migrate", MIGRATION)],
)
def test_says_how_long_each_waits_for_postgresql(who: str, timeouts: Timeouts) -> None:
    limits = (timeouts.statement_seconds, timeouts.lock_seconds, timeouts.idle_in_transaction_seconds)
    row = " | ".join([who, *(f"{seconds} s" for seconds in limits), f"{timeouts.answer_seconds_max:.0f} s"])
    assert f"| {row}" in PAGE.read_text(encoding="utf-8")


def test_who_accepts_waits_as_long_as_the_rest_of_the_api() -> None:
    assert (API.statement_seconds, API.lock_seconds) == (INTAKE.statement_seconds, INTAKE.lock_seconds)
