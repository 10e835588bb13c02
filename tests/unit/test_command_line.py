"""`python -m hishab` lists its commands, and `up` explains itself."""

import subprocess
import sys

COMMANDS = ("up", "wallets", "submit", "audit")


def hishab(*words: str) -> str:
    command = [sys.executable, "-m", "hishab", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_lists_its_commands() -> None:
    said = hishab("--help")
    assert not [command for command in COMMANDS if f" {command} " not in said]


def test_up_explains_itself_with_an_example() -> None:
    assert "Example: hishab up" in hishab("up", "--help")
