"""Do our documents point at things that exist: promises at their tests, links at files?"""

from pathlib import Path
from typing import Final

import pytest

from tests.architecture.documents import broken_links, missing_tests, unshown_rules
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
