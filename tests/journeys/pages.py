"""Run a page of documentation as its reader would: its commands in order, its programs as files, its answers compared.

Of a page's fenced blocks, `sh` is run in one shell, in an empty directory. `python NAME` becomes a file there. `json`
and `text` are what the commands right above them answer; `…` stands for anything, and `"…": "…"` for more fields.
`sh NAME` is for another moment: a test of its own makes that, and runs it. `make` is only asked whether it knows the
target, since the suite itself is one. Blocks of other languages are looked at and not run; that what they name exists
is seen to by tests/architecture/test_documents.py.

A page may say `$HISHAB_DATABASE_URL` and `$HISHAB_BROKER_URL`, and find PostgreSQL's programs.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

from tests.running_system import System

ROOT = Path(__file__).parents[2]
PAGE_SECONDS_MAX = 240.0
ANYTHING = "…"

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

# In a list a block is indented.
_BLOCK = re.compile(r"^([ ]*)```(\w*)[ ]?([^\n]*)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
_END = "--- end of block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block, its language and what stands behind that."""

    language: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Commands of a page, what they answered, and what the page says that they answer."""

    commands: str
    answer: str
    shown: Block | None

    @property
    def is_as_shown(self) -> bool:
        match self.shown:
            case Block(language="json", text=text):
                return _is_like(json.loads(self.answer), json.loads(text))
            case Block(text=text):
                return _pattern(text).fullmatch(_without_ends_of_lines(self.answer)) is not None
            case None:
                return True


def pages() -> list[str]:
    """List the pages that have something to run."""
    found = (path.relative_to(ROOT).as_posix() for path in _paths())
    return [page for page in found if any(_is_run(block) or block.language == "python" for block in blocks(page))]


def pages_with(language: str) -> list[str]:
    """List the pages that have blocks in a language."""
    found = (path.relative_to(ROOT).as_posix() for path in _paths())
    return [page for page in found if any(block.language == language for block in blocks(page))]


def _paths() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """Take the fenced blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(language=language, name=name, text=dedent(inside)) for _, language, name, inside in _BLOCK.findall(text)
    ]


def write_programs(page: str, *, directory: Path) -> None:
    """Write the programs of a page down as files."""
    for block in blocks(page):
        if block.language == "python":
            (directory / block.name).write_text(block.text, encoding="utf-8")


def run(page: str, *, system: System, directory: Path) -> list[Ran]:
    """Run a page against a system, up to the first commands that fail."""
    write_programs(page, directory=directory)
    parts = list(_commands_and_answers(blocks(page)))
    script = "".join(f"{commands}echo '{_END}'\n" for commands, _ in parts)
    ran = subprocess.run(
        ["bash", "-euc", _as_here(script, system=system)],
        cwd=directory,
        env={**environment(binaries_of(system)), **_urls(system)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PAGE_SECONDS_MAX,
        check=False,
    )
    answers = ran.stdout.split(f"{_END}\n")
    assert ran.returncode == 0, f"exit code {ran.returncode}\n{answers[-1]}"
    return [
        Ran(commands=commands, answer=answer, shown=shown)
        for (commands, shown), answer in zip(parts, answers, strict=False)
    ]


def named(page: str, *names: str) -> str:
    """Give those commands of a page that are for another moment, in the order of the names."""
    found = {block.name: block.text for block in blocks(page) if block.language == "sh"}
    return "".join(found[name] for name in names).replace(".venv/bin/python", sys.executable)


def run_named(
    page: str, *names: str, binaries: Path, directory: Path, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run those commands.

    Args:
        binaries: Where PostgreSQL's programs are.
        variables: What the page leaves to its reader.
    """
    return subprocess.run(
        ["bash", "-euc", named(page, *names)],
        cwd=directory,
        env={**environment(binaries), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PAGE_SECONDS_MAX,
        check=False,
    )


def binaries_of(system: System) -> Path:
    """Find the programs that belong to the PostgreSQL of a system."""
    return Path(f"/proc/{system.parts['postgres']}/exe").resolve().parent


def _is_run(block: Block) -> bool:
    return block.language == "sh" and not block.name


def _commands_and_answers(found: list[Block]) -> Iterator[tuple[str, Block | None]]:
    for block, following in zip(found, [*found[1:], None], strict=True):
        if _is_run(block):
            yield block.text, following if following and following.language in {"json", "text"} else None


def _as_here(script: str, *, system: System) -> str:
    here = re.sub(r"(?m)^make (\w+).*$", rf"make --silent --dry-run --directory '{ROOT}' \1 > /dev/null", script)
    here = here.replace("http://127.0.0.1:8000", system.url).replace(".venv/bin/python", sys.executable)
    command = rf"{sys.executable} -m hishab \1 --data-dir {system.data_dir}"
    return re.sub(r"\.venv/bin/hishab ((?:transfers |webhooks )?\w+)", command, here)


def environment(binaries: Path) -> dict[str, str]:
    """Give ours, without settings of Hishab's, in which PostgreSQL's programs are found."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")}
    return {**inherited, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "PYTHONPATH": str(ROOT)}


def _urls(system: System) -> dict[str, str]:
    return {"HISHAB_DATABASE_URL": system.database_url, "HISHAB_BROKER_URL": system.broker_url}


def _is_like(found: Json, shown: Json) -> bool:
    match shown:
        case "…":
            return True
        case dict():
            wanted = {name: value for name, value in shown.items() if name != ANYTHING}
            if not isinstance(found, dict) or not wanted.keys() <= found.keys():
                return False
            is_all = ANYTHING in shown or wanted.keys() == found.keys()
            return is_all and all(_is_like(found[name], value) for name, value in wanted.items())
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(shown)
                and all(_is_like(*pair) for pair in zip(found, shown, strict=True))
            )
        case _:
            return found == shown


def _pattern(shown: str) -> re.Pattern[str]:
    parts = _without_ends_of_lines(shown).split(ANYTHING)
    return re.compile(".*?".join(map(re.escape, parts)), flags=re.DOTALL)


def _without_ends_of_lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
