"""Complete the specification that FastAPI makes out of the routes: every answer, every refusal, every webhook."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import problems
from api.openapi import examples, shapes, webhook_shapes
from api.openapi.answer import Answer
from api.openapi.answers import ANSWERS, REQUESTS
from api.transfers.stream import STREAM
from shared.domain.errors import QuotaExceeded
from shared.domain.idempotency import KEY_LENGTH_MAX

JSON: Final = "application/json"
REFERENCE: Final = "#/components/schemas/{model}"
PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
FASTAPIS_OWN: Final = ("HTTPValidationError", "ValidationError")
REQUEST_ID: Final = "0198c0de-9e0f-7a1b-8c2d-3e4f5a6b7c8d"

KEY: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": KEY_LENGTH_MAX,
    "pattern": "^[!-~]+$",
    "examples": ["invoice-17"],
}

HEADERS: Final = {
    401: {"WWW-Authenticate": "`Bearer`"},
    429: {"Retry-After": "Seconds to wait before trying again."},
    503: {"Retry-After": "Seconds to wait before trying again."},
}

EVERYWHERE: Final = {"X-Request-ID": "The request's id: yours, or one of ours."}
OF_CALLERS: Final = {
    "RateLimit": "What is left of the quota, and for how many seconds. Operators have none.",
    "RateLimit-Policy": "The quota: so many requests in so many seconds.",
}

WEBHOOKS: Final[Mapping[str, tuple[str, type[BaseModel], Mapping[str, Any]]]] = {
    "transfer.succeeded": ("A transfer has succeeded", webhook_shapes.TransferEvent, examples.EVENT_SUCCEEDED),
    "transfer.failed": ("A transfer has failed", webhook_shapes.TransferEvent, examples.EVENT_FAILED),
    "webhook_endpoint.disabled": (
        "An endpoint was given up",
        webhook_shapes.EndpointDisabledEvent,
        examples.EVENT_DISABLED,
    ),
    "ping": ("A test that was asked for", webhook_shapes.PingEvent, examples.EVENT_PING),
}

TAGS: Final = {
    "users": "Sign up, and look at one's own account.",
    "tokens": "Log in, go on, and log out.",
    "API keys": "What programs call with, in the place of a person who logs in.",
    "wallets": "Open wallets, and look at what they hold and what moved on them.",
    "transfers": "Send transfers, and follow them to their end.",
    "transfer batches": "Send up to a thousand transfers at once, all or none.",
    "events": "What happened, for those who ask.",
    "webhook endpoints": "What happened, for those who would be told.",
    "system": "The system as a whole.",
    "health": "For those who keep it running.",
}


def install(app: FastAPI) -> None:
    """Make the application serve the completed specification, made once."""
    make = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(make())
        return app.openapi_schema

    app.openapi = completed


def complete(made: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a specification."""
    spec = deepcopy(dict(made))
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    for name in FASTAPIS_OWN:
        schemas.pop(name, None)
    schemas.update(_shapes())
    for path, operation in operations(spec):
        _complete_operation(operation, path=path)
    spec["tags"] = [{"name": name, "description": description} for name, description in TAGS.items()]
    spec["webhooks"] = {
        name: {"post": _webhook(name, summary=summary, shape=shape, example=example)}
        for name, (summary, shape, example) in WEBHOOKS.items()
    }
    return spec


def operations(spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the operations of a specification, each with its path."""
    for path, item in spec["paths"].items():
        yield from ((path, operation) for method, operation in item.items() if method in METHODS)


def _complete_operation(operation: dict[str, Any], *, path: str) -> None:
    found: dict[str, Any] = operation["responses"]
    if JSON in found.get("422", {}).get("content", {}):  # FastAPI's own, which is not how we answer
        del found["422"]["content"][JSON]
    refusals = {
        status: response
        for status, response in found.items()
        if problems.MEDIA_TYPE in response.get("content", {}) or status == "400"
    }
    for status, code, detail in _refusals(operation, path=path):
        _add_example(refusals, status=status, code=code, detail=detail)
    for status, response in refusals.items():
        _complete_refusal(response, status=int(status), path=path)
    answers = {str(status): _answer(answer) for status, answer in ANSWERS.get(operation["operationId"], {}).items()}
    operation["responses"] = {
        status: _both(answers.get(status, {}), refusals.get(status, {})) for status in sorted(refusals | answers)
    }
    everywhere = EVERYWHERE | (OF_CALLERS if operation.get("security") else {})
    for response in operation["responses"].values():
        response.setdefault("headers", {}).update({name: _header(text) for name, text in everywhere.items()})
    for content in operation.get("requestBody", {}).get("content", {}).values():
        examples = REQUESTS.get(operation["operationId"], {})
        content["examples"] = {name: {"value": example} for name, example in examples.items()}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header" and parameter["name"].lower() == "idempotency-key":
            parameter.update(name="Idempotency-Key", required=True, schema=KEY)


def _refusals(operation: Mapping[str, Any], *, path: str) -> Iterator[tuple[int, str, str]]:
    """Say which refusals come of what an operation takes, whatever it does."""
    if "requestBody" in operation:
        yield 400, "malformed_request", "The body is not valid JSON: a key stands in it twice."
        yield 413, problems.CODE_BY_STATUS[413], problems.DETAIL_BY_STATUS[413]
        if JSON in operation["requestBody"]["content"]:
            yield 415, problems.CODE_BY_STATUS[415], problems.DETAIL_BY_STATUS[415]
    if "requestBody" in operation or operation.get("parameters"):
        yield 422, "validation_failed", problems.INVALID
    if operation.get("security"):
        yield 429, problems.code_of(QuotaExceeded), QuotaExceeded().detail
    if path.startswith("/v1/"):
        yield 500, "internal_error", problems.DEFECT


def _add_example(refusals: dict[str, Any], *, status: int, code: str, detail: str) -> None:
    response = refusals.setdefault(str(status), {"description": HTTPStatus(status).phrase})
    content = response.setdefault("content", {}).setdefault(problems.MEDIA_TYPE, {})
    example = problems.body(status=status, code=code, detail=detail, instance="", request_id="")
    if code == "validation_failed":
        example["errors"] = [{"pointer": "/amount", "code": "int_type", "detail": "Input should be a valid integer"}]
    content.setdefault("examples", {}).setdefault(code, {"value": example})


def _complete_refusal(response: dict[str, Any], *, status: int, path: str) -> None:
    content = response["content"].get(problems.MEDIA_TYPE, {})
    content["schema"] = PROBLEM
    for example in content.get("examples", {}).values():
        example["value"].update(instance=path, request_id=REQUEST_ID)
    response["headers"] = {name: _header(text) for name, text in HEADERS.get(status, {}).items()}


def _answer(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": answer.description,
        "headers": {name: _header(text) for name, text in answer.headers.items()},
    }
    if answer.shapes:
        references = [{"$ref": REFERENCE.format(model=shape.__name__)} for shape in answer.shapes]
        response["content"] = {
            JSON: {
                "schema": references[0] if len(references) == 1 else {"anyOf": references},
                "examples": {name: {"value": example} for name, example in answer.examples.items()},
            }
        }
    if answer.stream:
        streamed = {"schema": {"type": "string"}, "examples": {"stream": {"value": answer.stream}}}
        response["content"] = {**response["content"], STREAM: streamed}
    if answer.leads_to:
        response["links"] = {
            operation: {"operationId": operation, "parameters": dict(parameters)}
            for operation, parameters in answer.leads_to.items()
        }
    return response


def _both(answer: dict[str, Any], refusal: dict[str, Any]) -> dict[str, Any]:
    """Describe a status that is an answer, a refusal, or either."""
    both = {**refusal, **answer}
    for part in ("content", "headers"):
        if merged := {**refusal.get(part, {}), **answer.get(part, {})}:
            both[part] = merged
    return both


def _webhook(name: str, *, summary: str, shape: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    headers = {
        "webhook-id": "The event's id, the same at every attempt.",
        "webhook-timestamp": "Of this attempt, in seconds since 1970.",
        "webhook-signature": "`v1,<base64>`, several apart by spaces while a secret is rotated.",
    }
    return {
        "operationId": name.replace(".", "_"),
        "summary": summary,
        "description": "Signed as Standard Webhooks 1.0.0 has it. Sent again until answered with 2xx within 15 s.",
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for header, text in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"$ref": REFERENCE.format(model=shape.__name__)},
                    "examples": {"example": {"value": dict(example)}},
                }
            },
        },
        "responses": {
            "2XX": {"description": "Received. Whatever else is answered, it is sent again."},
            "410": {"description": "Never send anything here again."},
        },
    }


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _shapes() -> dict[str, Any]:
    """Spell every shape as a JSON schema."""
    models = [
        shape
        for module in (shapes, webhook_shapes)
        for shape in vars(module).values()
        if isinstance(shape, type) and issubclass(shape, BaseModel) and shape.__module__ == module.__name__
    ]
    _, spelt = models_json_schema([(model, "serialization") for model in models], ref_template=REFERENCE)
    return spelt["$defs"]
