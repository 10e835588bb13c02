"""Are the images and the compose file in order? What they start is run by tests/journeys/test_images.py."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml

from hishab.embedded import PrivatePostgres
from hishab.launch_plan import MODULES
from hishab.postgres_program import PostgresProgram
from hishab.tether import Identity
from tests.architecture.image_rules import image_is_sound, service_is_sound
from tests.architecture.source import ROOT
from tests.containers import COMPOSE, Service, new_service, read_services, read_variables, stages

DOCKERFILES: Final = ("Dockerfile.api", "Dockerfile.worker")
VARIABLES: Final = dict.fromkeys(read_variables((ROOT / ".env.example").read_text(encoding="utf-8")), "made-up")
SERVICES: Final = {service.name: service for service in read_services(VARIABLES)}


def read(dockerfile: str) -> str:
    return (ROOT / dockerfile).read_text(encoding="utf-8")


def compose_schema() -> dict[str, Any]:
    schemas = files("check_jsonschema") / "builtin_schemas" / "vendor"
    return json.loads((schemas / "compose-spec.json").read_text(encoding="utf-8"))


def test_the_compose_file_is_one() -> None:
    said: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    jsonschema.validate(said, compose_schema())
    said["services"]["api"]["dependson"] = ["postgres"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said, compose_schema())


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([hadolint, ROOT / dockerfile], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_an_image_is_sound(dockerfile: str) -> None:
    assert not list(image_is_sound(read(dockerfile)))


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_is_sound(service: Service) -> None:
    assert not list(service_is_sound(service))


@pytest.mark.parametrize(
    ("sound", "unsound", "complaint"),
    [
        ("FROM python:3.11-slim-bookworm\n", "FROM python:latest\n", "pin a version"),
        ("USER 10001", "USER root", "runs as root"),
        ('CMD ["api.main"]', "CMD python -m api.main", "a shell stands between"),
        ('CMD ["python", "-P", "-m", "api.is_ready"]', "CMD true", "does not tell its health"),
        ("--require-hashes", "--no-deps", "nobody has checked"),
        ("COPY --from=build", "COPY", "what builds it stays in it"),
        ("COPY api api/", "ADD api api/", "ADD fetches"),
    ],
)
def test_an_image_that_is_not_sound_is_found(sound: str, unsound: str, complaint: str) -> None:
    dockerfile = read("Dockerfile.api")
    assert sound in dockerfile
    assert complaint in "\n".join(image_is_sound(dockerfile.replace(sound, unsound)))


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("mem_limit", None, "says nothing of mem_limit"),
        ("stop_grace_period", None, "says nothing of stop_grace_period"),
        ("read_only", False, "not as locked in"),
        ("ports", ["8000:8000"], "open to everybody"),
        ("depends_on", {"postgres": {"condition": "service_started"}}, "starts before what it needs"),
        ("command", ["postgres", "-c", "fsync=off"], "loses what was said to be committed"),
        ("healthcheck", {"disable": True}, "does not tell its health"),
    ],
)
def test_a_service_that_is_not_sound_is_found(option: str, value: object, complaint: str) -> None:
    said = {name: inner for name, inner in SERVICES["api"].said.items() if name != option}
    service = new_service("api", {**said, **({} if value is None else {option: value})})
    assert complaint in "\n".join(service_is_sound(service))


def test_everything_starts_in_order() -> None:
    order = list(SERVICES)
    assert (
        order.index("postgres") < order.index("migrate") < min(map(order.index, ("api", "lanes", "webhooks", "upkeep")))
    )
    assert SERVICES["migrate"].needs == {"postgres": "service_healthy"}
    for name in ("api", "lanes", "webhooks", "upkeep"):
        assert SERVICES[name].needs == {"migrate": "service_completed_successfully", "redis": "service_healthy"}


def test_each_part_is_started_as_the_launcher_starts_it() -> None:
    ours = {name: service for name, service in SERVICES.items() if service.image}
    assert {name: service.command[-len(MODULES[name]) :] for name, service in ours.items()} == {
        name: words for name, words in MODULES.items() if name != "bootstrap"
    }


def test_a_workers_health_is_that_of_its_own_role() -> None:
    for name in ("lanes", "webhooks", "upkeep"):
        assert SERVICES[name].health[-2:] == ["worker.is_working", name]


def test_postgresql_keeps_rows_out_of_its_log_as_the_launchers_does() -> None:
    program = PostgresProgram(binaries=Path(), version=18, identity=Identity.OWN)
    launched = PrivatePostgres(program=program, directory=Path(), port=0, password="").part.command
    assert "log_error_verbosity=terse" in launched
    assert "log_error_verbosity=terse" in SERVICES["postgres"].command


def test_no_secret_has_a_default() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w*(?:PASSWORD|KEYS|PEPPER)\w*)", text):
        assert not re.search(rf"\$\{{{name}(?!:\?)", text), name


def test_nothing_goes_into_an_image_but_what_is_listed() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    listed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for dockerfile in DOCKERFILES
        for name, words in stages(read(dockerfile))[0]
        if name == "COPY"
        for word in words.split()[:-1]
    }
    assert lines[1] == "*"
    assert listed == copied
