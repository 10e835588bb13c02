"""Rules over files as text: what they are called, how long they are, what they must not give away."""

import re
from collections.abc import Iterator
from typing import Final

from tests.architecture.source import Finding, Source

FILE_LINES_MAX: Final = 400
"""A tripwire, not a target (that is 120)."""

REASON_LENGTH_MIN: Final = 5

_NAMES_OF_NOTHING: Final = frozenset(
    {"base", "bases", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
)

# Written so that this file does not give away what it looks for.
_GIVES_AWAY: Final = {
    re.compile(r"(?i)\bpypi[.]|pythonhosted[.]|npmjs[.]|\bindex-url\b|--index[ =]"): "name no package registry: pins "
    "carry versions, whoever installs chooses where from",
    re.compile(
        r"(?<![\w.~}])/(?:home|Users)/[a-z]\w*|(?<![\w.])/[r]oot/|(?<![\w./-])/work(?=[/\s\"'`),;]|$)"
    ): "name no path of a machine: take it from the environment, or relative to the project",
}

_TODO: Final = re.compile(r"\b(?:TO[D]O|FIX[M]E|HA[C]K|XX[X])\b(?![^\n]*#\d)")
_SUPPRESSION: Final = re.compile(r"#\s*(?:ruff: )?(noqa|pyright: ?ignore|type: ?ignore|pragma: no cover)(.*)")
_CODES: Final = re.compile(r"^(?::\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+\b)*|\[[\w, ]+\])?")


def file_name_says_what(source: Source) -> Iterator[Finding]:
    """Find file and folder names that say nothing about what is inside."""
    for word in re.split(r"[/_.\-]", source.path):
        if word.lower() in _NAMES_OF_NOTHING:
            yield Finding(1, word, "name the file after what it does or holds")


def file_is_short(source: Source) -> Iterator[Finding]:
    """Find files that nobody reads from top to bottom."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield Finding(
            FILE_LINES_MAX, "", f"{lines} lines, {FILE_LINES_MAX} are the tripwire: split by noun, or say why"
        )


def gives_nothing_away(source: Source) -> Iterator[Finding]:
    """Find package registries and paths of the machine it was written on."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        for pattern, remedy in _GIVES_AWAY.items():
            if found := pattern.search(line):
                yield Finding(number, found[0], remedy)


def todo_has_issue(source: Source) -> Iterator[Finding]:
    """Find promises to do something later that no issue keeps."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := _TODO.search(line):
            yield Finding(number, found[0], "do it, or open an issue and name it on the same line: (#12)")


def suppression_has_reason(source: Source) -> Iterator[Finding]:
    """Find checks that were silenced without a word why, on the line or in a comment right above it."""
    above = ""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := _SUPPRESSION.search(line):
            kind, rest = found.groups()
            reason = _CODES.sub("", rest).strip(" -()")
            if kind.startswith("type"):
                yield Finding(number, kind, "the type checker is pyright: name the rule in its own comment")
            elif len(reason) < REASON_LENGTH_MIN and not above.lstrip().startswith("#"):
                yield Finding(number, kind, "say why beside it: `(the name is ours)`")
        above = line
