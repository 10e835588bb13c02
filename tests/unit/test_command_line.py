"""The command line explains itself: every command, with an example, in eighty columns."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hishab.main import app

COLUMNS = 80


def commands() -> Iterator[tuple[str, ...]]:
    """List the words that lead to each command."""
    for command in app.registered_commands:
        assert command.name
        yield (command.name,)
    for group in app.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        for command in group.typer_instance.registered_commands:
            yield str(group.name), str(command.name)


def said(*words: str) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": str(COLUMNS), "TERMINAL_WIDTH": str(COLUMNS)})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_lists_its_commands() -> None:
    shown = said("--help")
    assert not [words for words in commands() if f" {words[0]} " not in shown]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself_with_an_example(words: tuple[str, ...]) -> None:
    shown = said(*words, "--help")
    assert f"Example: hishab {' '.join(words)}" in shown
    assert max(map(len, shown.splitlines())) <= COLUMNS


def test_completes_in_a_shell() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "hishab"],
        env={"_HISHAB_COMPLETE": "complete_bash", "COMP_WORDS": "hishab web", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == ["webhooks"], ended


def test_names_its_versions_without_a_system(tmp_path: Path) -> None:
    shown = json.loads(said("version", "--json", "--data-dir", str(tmp_path)))
    assert shown["hishab"] == version("hishab")
    assert shown["python"] == platform.python_version()
    assert shown["schema_of_program"]
    assert shown["postgresql"] is shown["schema"] is None


def test_names_its_versions_by_the_option_too() -> None:
    assert f"Hishab      {version('hishab')}" in said("--version")
