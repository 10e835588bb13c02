"""Read our documents, and look up what they point at: the tests that promises name, the files that links lead to."""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

OURS = ("api", "hishab", "shared", "tests", "worker")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

_PROMISE = re.compile(r"^\|\s*\**(G\d+)\b")
_NAMED_TEST = re.compile(r"(tests/[\w/]+\.py)((?:::\w+)+)")
# A fenced block, or what stands between backticks in a line.
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", flags=re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:^|[`/]|\|\s)hishab ([a-z][\w-]*)", flags=re.MULTILINE)
_TARGET = re.compile(r"(?:^ *|`|&& )make ([a-z][\w-]*)", flags=re.MULTILINE)
_COMPOSE = re.compile(r"docker compose (?:exec( [a-z]+)|(?:stop|start|restart|logs)((?: [a-z]+)+))")
_MODULE = re.compile(r"-m ([\w.]+)")
_SETTING = re.compile(r"\b(HISHAB_[A-Z_]*[A-Z])\b")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken_links(markdown: str, *, folder: Path) -> Iterator[str]:
    """Find links to files that do not exist.

    Args:
        markdown: The document. Addresses on other machines are not followed.
        folder: Where it lies.
    """
    for target in _LINK.findall(markdown):
        if "://" not in target and not target.startswith("mailto:") and not (folder / target).exists():
            yield target


def promised_tests(markdown: str) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Read which tests each promise names, as (file, names inside it): `tests/x/test_y.py::TestA::test_b`."""
    promises: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for line in markdown.splitlines():
        if promise := _PROMISE.match(line):
            tests = [(path, tuple(names.split("::")[1:])) for path, names in _NAMED_TEST.findall(line)]
            promises.setdefault(promise[1], []).extend(tests)
    return promises


def missing_tests(markdown: str, *, promises: frozenset[str], root: Path) -> Iterator[str]:
    """Find promises without a row, rows without a test, and tests that do not exist."""
    promised = promised_tests(markdown)
    for promise in sorted(promises | promised.keys()):
        tests = promised.get(promise, [])
        if not tests:
            yield f"{promise} names no test"
        for path, names in tests:
            if not _exists(root / path, names):
                yield f"{promise} names {path}::{'::'.join(names)}, which does not exist"


def unshown_rules(markdown: str, *, root: Path) -> Iterator[str]:
    """Find rules of a contract, each a row of a table, that name no test, or one that does not exist."""
    rows = [line for line in markdown.splitlines() if line.startswith("| ") and not line.startswith("| rule")]
    for row in rows:
        rule = row.split("|")[1].strip()
        tests = [(path, tuple(names.split("::")[1:])) for path, names in _NAMED_TEST.findall(row)]
        if not tests:
            yield f"{rule}: names no test"
        yield from (
            f"{rule}: names {path}::{'::'.join(names)}, which does not exist"
            for path, names in tests
            if not _exists(root / path, names)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What documents may name: commands of ours, targets of make, services of compose, words of our files."""

    commands: AbstractSet[str]
    targets: AbstractSet[str]
    services: AbstractSet[str]
    words: AbstractSet[str]
    root: Path

    def has_module(self, name: str) -> bool:
        path = self.root / name.replace(".", "/")
        is_ours = name.partition(".")[0] in OURS
        return not is_ours or path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def unknown_names(markdown: str, *, known: Known) -> Iterator[str]:
    """Find commands, modules and settings that a document shows, in a block or within a line, and that do not exist."""
    code = "\n".join(_CODE.findall(markdown))
    yield from (f"hishab {name}" for name in _COMMAND.findall(code) if name not in known.commands)
    yield from (f"make {name}" for name in _TARGET.findall(code) if name not in known.targets)
    services = [name for words in _COMPOSE.findall(code) for name in "".join(words).split()]
    yield from (f"docker compose … {name}" for name in services if name not in known.services)
    yield from (f"python -m {name}" for name in _MODULE.findall(code) if not known.has_module(name))
    yield from (name for name in _SETTING.findall(code) if name not in known.words)


def _exists(path: Path, names: tuple[str, ...]) -> bool:
    if not path.is_file():
        return False
    found: Definition | ast.Module = ast.parse(path.read_text(encoding="utf-8"))
    for name in names:
        inner = next((node for node in found.body if isinstance(node, Definition) and node.name == name), None)
        if inner is None:
            return False
        found = inner
    return names[-1].startswith("test_")
