"""Do our documents point at things that exist: promises at their tests, links at files?"""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from hishab.main import app
from tests.architecture.documents import Known, broken_links, missing_tests, unknown_names, unshown_rules
from tests.architecture.source import ROOT, project_files

GUARANTEES: Final = ROOT / "docs" / "guarantees.md"
CONTRACT: Final = ROOT / "docs" / "contract.md"
PROMISES: Final = frozenset(f"G{number}" for number in range(1, 11))
"""G11 is a speed: `make bench` measures it."""


@pytest.mark.skipif(not GUARANTEES.exists(), reason="docs/guarantees.md is not written yet")
def test_every_promise_names_a_test_that_exists() -> None:
    missing = list(missing_tests(GUARANTEES.read_text(encoding="utf-8"), promises=PROMISES, root=ROOT))
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("| G1 | A 202 is a committed row. | queue | `tests/test_kept.py::test_one` |", None),
        ("| **G1** | … | … | `tests/test_kept.py::TestAll::test_two`, `tests/test_kept.py::test_one` |", None),
        ("| G1 | … | … | none yet |", "G1 names no test"),
        ("| G2 | … | … | `tests/test_kept.py::test_one` |", "G1 names no test"),
        ("| G1 | … | … | `tests/test_lost.py::test_one` |", "tests/test_lost.py::test_one, which does not exist"),
        ("| G1 | … | … | `tests/test_kept.py::test_three` |", "tests/test_kept.py::test_three, which does not exist"),
        ("| G1 | … | … | `tests/test_kept.py::test_two` |", "tests/test_kept.py::test_two, which does not exist"),
        ("| G1 | … | … | `tests/test_kept.py::TestAll` |", "tests/test_kept.py::TestAll, which does not exist"),
    ],
)
def test_a_promise_without_its_test_is_found(tmp_path: Path, row: str, complaint: str | None) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    tests.joinpath("test_kept.py").write_text(
        "async def test_one(): ...\nclass TestAll:\n    def test_two(self): ...\n", encoding="utf-8"
    )
    missing = "\n".join(missing_tests(row, promises=frozenset({"G1"}), root=tmp_path))
    assert complaint in missing if complaint else not missing


def test_every_rule_of_the_contract_names_a_test_that_exists() -> None:
    unshown = list(unshown_rules(CONTRACT.read_text(encoding="utf-8"), root=ROOT))
    assert not unshown, "\n".join(unshown)


def test_a_rule_without_its_test_is_found(tmp_path: Path) -> None:
    tmp_path.joinpath("tests").mkdir()
    tmp_path.joinpath("tests", "test_kept.py").write_text("def test_one(): ...\n", encoding="utf-8")
    rows = ["| rule | tests |", "|---|---|", "| a | none |", "| b | `tests/test_kept.py::test_one` |"]
    rows += ["| c | `tests/x.py::test_y` |"]
    assert list(unshown_rules("\n".join(rows), root=tmp_path)) == [
        "a: names no test",
        "c: names tests/x.py::test_y, which does not exist",
    ]


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{source.path}: {target}"
        for source in project_files()
        if source.path.endswith(".md")
        for target in broken_links(source.text, folder=(ROOT / source.path).parent)
    ]
    assert not broken, "\n".join(broken)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    tmp_path.joinpath("kept.md").touch()
    markdown = "[a](kept.md) [b](kept.md#part) [c](#here) [d](https://example.org/x.md) [e](lost.md) [f](lost.md#part)"
    assert list(broken_links(markdown, folder=tmp_path)) == ["lost.md", "lost.md"]


@pytest.fixture(scope="module")
def known() -> Known:
    code = "\n".join(
        source.text for source in project_files() if not source.path.endswith((".md", "test_documents.py"))
    )
    return Known(
        commands=frozenset(command.name or "" for command in (*app.registered_commands, *app.registered_groups)),
        targets=frozenset(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))),
        services=frozenset(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]),
        # A setting is written down as its field.
        words=frozenset(re.findall(r"\w+", code)) | {f"HISHAB_{field.upper()}" for field in _fields(code)},
        root=ROOT,
    )


def _fields(code: str) -> list[str]:
    return re.findall(r"(?m)^    ([a-z_]+): ", code)


def test_whatever_a_document_tells_to_run_or_to_set_exists(known: Known) -> None:
    unknown = [
        f"{source.path}: {name}"
        for source in project_files()
        if source.path.endswith(".md") and source.path != "CHANGELOG.md"
        for name in unknown_names(source.text, known=known)
    ]
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize(
    ("markdown", "unknown"),
    [
        ("Run `hishab audit`, or `make up`.", []),
        ("Run `hishab prove`.", ["hishab prove"]),
        ("```sh\n.venv/bin/hishab prove\n```", ["hishab prove"]),
        ("```sh\nmake sure\n```", ["make sure"]),
        ("Then make sure that hishab works.", []),
        ("`python -m shared.database.migrate`", []),
        ("`python -m shared.database.upgrade`", ["python -m shared.database.upgrade"]),
        ("`docker compose stop api lane`", ["docker compose … lane"]),
        ("`HISHAB_BACKLOG_MAX` and `HISHAB_BACKLOG_MIN`", ["HISHAB_BACKLOG_MIN"]),
    ],
)
def test_what_does_not_exist_is_found(known: Known, markdown: str, unknown: list[str]) -> None:
    assert list(unknown_names(markdown, known=known)) == unknown
