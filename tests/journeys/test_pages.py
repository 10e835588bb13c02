"""Does what our documentation shows work as it stands? Every page with commands is run, whole."""

import shutil
from pathlib import Path

import psycopg
import pytest

from tests.journeys.pages import Block, Ran, blocks, pages, pages_with, run
from tests.running_system import System

LANGUAGES = {"sh", "python", "json", "text", "sql", ""}


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages' lines need curl")
@pytest.mark.parametrize("page", pages())
def test_a_page_does_what_it_shows(page: str, system: System, tmp_path: Path) -> None:
    for ran in run(page, system=system, directory=tmp_path):
        assert ran.is_as_shown, f"{ran.commands}\nanswered\n{ran.answer}\nand is shown as\n{ran.shown}"


def test_there_are_pages_to_run() -> None:
    assert {"README.md", "docs/write-a-client.md"} <= set(pages())
    assert "docs/runbooks/lane-stopped.md" in pages_with("sql")


@pytest.mark.parametrize("page", pages_with("sql"))
def test_a_pages_statements_fit_the_tables(page: str, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for block in blocks(page):
            if block.language == "sql":
                connection.execute(block.text.encode())
        connection.rollback()


@pytest.mark.parametrize("page", pages())
def test_a_page_has_no_block_that_is_run_by_mistake_or_left_out_by_mistake(page: str) -> None:
    found = blocks(page)
    assert {block.language for block in found} <= LANGUAGES
    assert all(block.name for block in found if block.language == "python")
    for above, answer in zip([None, *found], found, strict=False):
        assert answer.language not in {"json", "text"} or (above and above.language == "sh"), answer.text


@pytest.mark.parametrize(
    ("language", "shown", "answer", "is_as_shown"),
    [
        ("text", "paid\n", "paid\n", True),
        ("text", "paid\n", "paid twice\n", False),
        ("text", "a\n…\nz {…}\n", "a\nb\nc\nz {1}\n", True),
        ("text", "a\n…\nz\n", "a\nb\n", False),
        ("json", '{"a": 1, "b": "…"}', '{"b":[2],"a":1}', True),
        ("json", '{"a": 1}', '{"a":1,"b":2}', False),
        ("json", '{"a": 1, "…": "…"}', '{"a":1,"b":2}', True),
        ("json", '{"a": 1, "…": "…"}', '{"b":2}', False),
        ("json", '{"a": [{"b": "…"}]}', '{"a":[{"b":1}]}', True),
        ("json", '{"a": [{"b": "…"}]}', '{"a":[{"c":1}]}', False),
    ],
)
def test_an_answer_is_compared(language: str, shown: str, answer: str, *, is_as_shown: bool) -> None:
    ran = Ran(commands="", answer=answer, shown=Block(language=language, name="", text=shown))
    assert ran.is_as_shown is is_as_shown
