"""Read the Dockerfiles and the compose file, and run what they would run, as whom they would, without Docker.

Each image becomes a virtual environment that holds what its lock names and the packages that are copied into it, and
nothing else. Instead of the network between containers there is loopback.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from importlib.metadata import PackageNotFoundError
from importlib.metadata import distribution as installed
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

from hishab import tether
from hishab.ports import LOOPBACK
from hishab.process import Part
from hishab.tether import Identity
from scripts.constraints import ROOT, distribution, locked

Yaml: TypeAlias = "dict[str, Yaml] | list[Yaml] | str | int | float | None"

COMPOSE = ROOT / "docker-compose.yml"
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"

_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


class Instruction(NamedTuple):
    """One line of a Dockerfile, continuations joined."""

    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a Dockerfile makes.

    Attributes:
        lock: The name of the lock that it installs.
        packages: Those of ours that are in it.
    """

    entrypoint: Sequence[str]
    command: Sequence[str]
    health: Sequence[str]
    environment: Mapping[str, str]
    lock: str
    packages: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What docker-compose.yml says of a service; whatever it leaves open is the image's."""

    name: str
    image: Image | None
    command: Sequence[str]
    health: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    needs: Mapping[str, str]
    grace_seconds: float
    said: Mapping[str, Any] = field(repr=False)


def read_image(dockerfile: str) -> Image:
    """Read a Dockerfile."""
    build, run = stages((ROOT / dockerfile).read_text(encoding="utf-8"))
    last = dict(run)
    copied = [words.split() for name, words in build if name == "COPY"]
    pairs = [word.partition("=") for words in [last["ENV"]] for word in words.split()]
    return Image(
        entrypoint=json.loads(last["ENTRYPOINT"]),
        command=json.loads(last["CMD"]),
        health=json.loads(last["HEALTHCHECK"].partition("CMD ")[2]),
        environment={name: value for name, _, value in pairs},
        lock=next(Path(words[0]).stem for words in copied if words[-1] == "locks/"),
        packages=[words[0] for words in copied if words[-1] == f"{words[0]}/"],
    )


def stages(dockerfile: str) -> list[list[Instruction]]:
    """Read the instructions of a Dockerfile, stage by stage."""
    text = re.sub(r"(?m)^#.*\n", "", dockerfile).replace("\\\n", "")
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction = Instruction(*line.split(maxsplit=1))
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def read_services(variables: Mapping[str, str]) -> list[Service]:
    """Read docker-compose.yml with the variables of an .env; give its services in an order in which they may start.

    Raises:
        KeyError: A variable is missing that it asks for.
    """
    said: Any = interpolated(yaml.safe_load(COMPOSE.read_text()), variables)
    services = {name: new_service(name, words) for name, words in said["services"].items()}
    return [services[name] for name in TopologicalSorter({s.name: s.needs for s in services.values()}).static_order()]


def interpolated(said: Yaml, variables: Mapping[str, str]) -> Yaml:
    """Put variables into every string, as compose does.

    Raises:
        KeyError: One is missing that it asks for.
    """
    match said:
        case dict():
            return {name: interpolated(inner, variables) for name, inner in said.items()}
        case list():
            return [interpolated(inner, variables) for inner in said]
        case str():
            return _VARIABLE.sub(lambda found: _value(found, variables), said)
        case _:
            return said


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, words = found.groups()
    if given := variables.get(name):
        return given
    if kind != "-":
        raise KeyError(f"{name}: {words}")
    return words


def read_variables(env: str) -> dict[str, str]:
    """Read an .env."""
    lines = [line for line in env.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def new_service(name: str, said: Mapping[str, Any]) -> Service:
    """Understand what docker-compose.yml says of one service."""
    image = read_image(said["build"]["dockerfile"]) if "build" in said else None
    command: Sequence[str] = said.get("command") or (image.command if image else [])
    health: Sequence[str] = said.get("healthcheck", {}).get("test", ["CMD"])[1:]
    return Service(
        name=name,
        image=image,
        command=[*(image.entrypoint if image else []), *command],
        health=health or (image.health if image and not said.get("healthcheck") else []),
        environment={**(image.environment if image else {}), **said.get("environment", {})},
        needs={needed: how["condition"] for needed, how in said.get("depends_on", {}).items()},
        grace_seconds=float(said.get("stop_grace_period", "10s").removesuffix("s")),
        said=said,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Runs the words of a service in what stands for its image.

    Attributes:
        port: What it listens on, if it does.
        addresses: What stands here for those of the network between containers.
    """

    service: Service
    environment: Path
    identity: Identity
    port: int
    addresses: Mapping[str, str]

    @property
    def part(self) -> Part:
        """Its first process."""
        return self.runs(self.service.name, *self.service.command)

    @property
    def health(self) -> Part:
        """Its health check."""
        return self.runs(f"{self.service.name} health", *self.service.health)

    def runs(self, name: str, *words: str) -> Part:
        """Describe a program in it."""
        assert words[0] == "python"
        settings = dict(self.service.environment)
        for there, here in self.addresses.items():
            settings = {name: value.replace(there, here) for name, value in settings.items()}
        path = f"{self.environment / 'bin'}:{os.defpath}"
        return Part(
            name=name,
            command=[str(self.environment / "bin" / "python"), *words[1:]],
            environment={**settings, "PATH": path, "HISHAB_HOST": LOOPBACK, "HISHAB_PORT": str(self.port)},
            stop_seconds_max=self.service.grace_seconds,
            identity=self.identity,
        )


def unprivileged(python: Path) -> Identity:
    """Say as whom to run it, since in an image nobody is root: as nobody, or called so if root's Python is hidden."""
    if os.geteuid() != 0:
        return Identity.OWN
    for identity in (Identity.NOBODY, Identity.NAMESPACE):
        trial = Part(name="trial", command=[str(python), "-c", ""], environment={}, identity=identity)
        if subprocess.run(words_of(trial), env={}, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return identity
    raise AssertionError(f"nobody but root can run {python}, and root can be called nobody else here")


def fill(environment: Path, image: Image) -> None:
    """Make a virtual environment that holds what an image would, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    for pin in locked(image.lock):
        for file in _files(distribution(pin)):
            _link(file.source, site_packages / file.place)
    for package in image.packages:
        shutil.copytree(ROOT / package, site_packages / package)
    description = next(file for file in installed("hishab").files or [] if file.name == "METADATA")
    _link(Path(str(description.locate())), site_packages / str(description))
    # As an image that is read-only: what is installed is read, and nothing written beside it.
    for folder in (environment, *(path for path in environment.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o555)


class _File(NamedTuple):
    source: Path
    place: Path


def _files(name: str) -> Iterator[_File]:
    try:
        files = installed(name).files or []
    except PackageNotFoundError:
        return  # for another platform
    for file in files:
        source = Path(str(file.locate()))
        if ".." in file.parts or not source.exists():
            continue
        yield _File(source, Path(file))
        if source.suffix == ".py" and (compiled := Path(cache_from_source(str(source)))).exists():
            yield _File(compiled, Path(file).parent / "__pycache__" / compiled.name)


def _link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        return
    try:
        place.hardlink_to(source)
    except OSError:
        shutil.copy2(source, place)  # on another file system


def words_of(part: Part) -> list[str]:
    """Give the words that start a program tied to this process."""
    return tether.command(part.command, death_signal=part.stop_signal, identity=part.identity)
