"""The pins of pip and of uv are the same, complete, and say nothing about where to install from."""

import re
import tomllib
from collections.abc import Iterator

import pytest

from scripts.constraints import CONSTRAINTS, LEFT_OUT, LOCKS, PYPROJECT, distribution, locked, pinned

PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==[0-9][a-z0-9.]*( ; [a-zA-Z0-9_.<>=!' ]+)?")

LOCKED = re.compile(PIN.pattern + r" \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?")


def pins() -> list[str]:
    return CONSTRAINTS.read_text(encoding="utf-8").splitlines()


def required() -> Iterator[str]:
    """Name what the project asks for itself."""
    optional = PROJECT["project"]["optional-dependencies"].values()
    for requirement in (*PROJECT["project"]["dependencies"], *(line for extra in optional for line in extra)):
        yield distribution(requirement)


def test_pip_and_uv_are_told_the_same() -> None:
    assert pins() == PROJECT["tool"]["uv"]["constraint-dependencies"], "run: make constraints"


def test_whatever_the_project_asks_for_is_pinned() -> None:
    names = {line.partition("==")[0] for line in pins()}
    assert not set(required()) - names, "run: make constraints"


def test_a_pin_is_a_name_a_version_and_perhaps_a_platform() -> None:
    assert not [line for line in pins() if not PIN.fullmatch(line)]


def test_pins_take_the_place_of_older_ones() -> None:
    project = '[project]\nname = "x"\n\n[tool.other]\na = 1\n'
    once = pinned(project, pins=["a==1", "b==2 ; python_version < '3.12'"])
    assert tomllib.loads(once)["tool"]["uv"] == {
        "constraint-dependencies": ["a==1", "b==2 ; python_version < '3.12'"],
    }
    assert pinned(pinned(project, pins=["a==0", "c==3"]), pins=["a==1", "b==2 ; python_version < '3.12'"]) == once
    assert pinned(once, pins=[]) == project


def test_pins_may_stand_amid_other_sections() -> None:
    amid = '[tool.uv]\nconstraint-dependencies = [\n  "a==0",\n]\n\n[tool.other]\na = 1\n'
    assert tomllib.loads(pinned(amid, pins=["a==1"])) == {
        "tool": {"other": {"a": 1}, "uv": {"constraint-dependencies": ["a==1"]}}
    }


@pytest.mark.parametrize("image", LEFT_OUT)
def test_an_image_installs_what_is_pinned_and_was_not_left_out(image: str) -> None:
    versions = {pin.partition(" ;")[0] for pin in pins()}
    wanted = {distribution(line) for line in PROJECT["project"]["dependencies"]}
    in_it = {pin.partition(" ;")[0] for pin in locked(image)}
    remedy = "run: python scripts/constraints.py --locks"
    assert in_it <= versions, remedy
    assert wanted - {distribution(pin) for pin in in_it} <= LEFT_OUT[image], remedy
    assert LEFT_OUT[image] <= wanted


@pytest.mark.parametrize("name", [*LEFT_OUT, "build"])
def test_whatever_an_image_installs_is_known_by_its_hash(name: str) -> None:
    lines = (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert {
        bool(re.fullmatch(r"\S+==\S+( ; .+)? \\| {4}--hash=sha256:[0-9a-f]{64}( \\)?", line)) for line in lines
    } == {True}
