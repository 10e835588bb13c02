"""Does the specification say everything, and is it a specification?"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import problems
from api.main import make_app
from api.openapi.answers import ANSWERS
from api.openapi.specification import operations
from shared.domain.webhook import EVENT_TYPES
from tests.unit.test_problems import SETTINGS

SPEC: Final[dict[str, Any]] = make_app(SETTINGS, lane_count=1).openapi()
OPERATIONS: Final = {operation["operationId"]: (path, operation) for path, operation in operations(SPEC)}

# Answered wherever something cannot be read at all; no operation's own, so said once, in the description.
ANYWHERE: Final = {"405"}


def answers() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, (_, operation) in OPERATIONS.items():
        for status, response in operation["responses"].items():
            yield name, status, response


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, status, response in answers():
        for media_type, content in response.get("content", {}).items():
            yield f"{name} {status} {media_type}", content
    for name, (_, operation) in OPERATIONS.items():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {media_type}", content
    for name, hook in SPEC["webhooks"].items():
        yield name, hook["post"]["requestBody"]["content"]["application/json"]


BODIES: Final = dict(bodies())


def test_is_openapi_3_1() -> None:
    assert SPEC["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(SPEC).iter_errors()] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_answers(name: str) -> None:
    assert name in ANSWERS, f"give {name} an entry in api/openapi/answers.py"
    _, operation = OPERATIONS[name]
    assert operation["description"]
    assert operation["tags"][0] in {tag["name"] for tag in SPEC["tags"]}
    assert {str(status) for status in ANSWERS[name]} <= operation["responses"].keys()


def test_nothing_is_said_of_operations_that_are_not() -> None:
    assert ANSWERS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_body_has_examples_that_are_of_its_shape(body: dict[str, Any]) -> None:
    schema = {**body["schema"], "components": SPEC["components"]}
    validator: Any = Draft202012Validator(schema, format_checker=FormatChecker())
    assert body["examples"]
    for example in body["examples"].values():
        assert [error.message for error in validator.iter_errors(example["value"])] == []


@pytest.mark.parametrize(("path", "operation"), OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_lists_every_refusal(path: str, operation: dict[str, Any]) -> None:
    statuses = operation["responses"].keys()
    if path.startswith("/v1/"):
        assert {"500", "503"} <= statuses
    if operation.get("security"):
        assert {"401", "429"} <= statuses
        assert "403" in statuses or not any(scopes for way in operation["security"] for scopes in way.values())
    if "requestBody" in operation:
        assert {"400", "413", "422"} <= statuses
        assert "415" in statuses or "application/json" not in operation["requestBody"]["content"]
    if "{" in path:
        assert {"404", "422"} <= statuses
    assert not statuses & ANYWHERE
    for status, response in operation["responses"].items():
        assert status < "400" or problems.MEDIA_TYPE in response["content"] or status in {"503", "400"}
        assert "X-Request-ID" in response["headers"]


def test_every_link_leads_to_an_operation() -> None:
    for name, status, response in answers():
        for link in response.get("links", {}).values():
            _, operation = OPERATIONS[link["operationId"]]
            assert link["parameters"].keys() <= {p["name"] for p in operation["parameters"]}, f"{name} {status}"


def test_every_event_that_webhooks_tell_is_described() -> None:
    assert SPEC["webhooks"].keys() == set(EVENT_TYPES)
    for name, hook in SPEC["webhooks"].items():
        content = hook["post"]["requestBody"]["content"]["application/json"]
        assert [example["value"]["type"] for example in content["examples"].values()] == [name]
