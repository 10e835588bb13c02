"""Read the project's own files, for the rules that hold the house in order."""

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]


class Finding(NamedTuple):
    """One place that breaks a rule. `subject` is what an exception may name: a function, a word, a call."""

    line: int
    subject: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file. `path` is relative to the project, with forward slashes."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Parse the file as Python."""
        return _parse(self.text)


Rule = Callable[[Source], Iterable[Finding]]


@cache
def project_files() -> tuple[Source, ...]:
    """Read every text file that is, or is about to be, under version control."""
    return tuple(_read(path) for path in sorted(_paths()) if _is_text(path))


def strings(source: Source) -> Iterator[ast.Constant]:
    """Find every string that the program uses; docstrings and other strings standing alone are not used."""
    standing_alone = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in standing_alone:
            yield node


def calls(source: Source) -> Iterator[ast.Call]:
    """Find every call."""
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))


def called_name(call: ast.Call) -> str:
    """Name what is called, without what it belongs to: `execute` of `tx.execute(…)`."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _paths() -> Iterator[Path]:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return (ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file())


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(8_192)


def _read(path: Path) -> Source:
    return Source(path=path.relative_to(ROOT).as_posix(), text=path.read_text(encoding="utf-8"))
