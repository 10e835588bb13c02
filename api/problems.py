"""Answer every failure in one shape (RFC 9457), and give each its HTTP status: the only file that does."""

import re
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.database.commits import UNAVAILABLE
from shared.domain import errors
from shared.telemetry import first_line

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[type[errors.RequestRefused], int]] = {
    errors.ApiKeyLimitReached: 409,
    errors.ApiKeyNotFound: 404,
    errors.AuditNotFound: 404,
    errors.BatchInvalid: 422,
    errors.BatchNotFound: 404,
    errors.CurrencyMismatch: 422,
    errors.CurrencyUnknown: 422,
    errors.CursorInvalid: 400,
    errors.DeliveryNotFound: 404,
    errors.DestinationUnknown: 422,
    errors.EmailTaken: 409,
    errors.EndpointDisabled: 409,
    errors.EndpointLimitReached: 409,
    errors.EndpointNotFound: 404,
    errors.ExternalIdMissing: 422,
    errors.ExternalIdTaken: 409,
    errors.IdempotencyKeyInUse: 409,
    errors.IdempotencyKeyInvalid: 400,
    errors.IdempotencyKeyMissing: 400,
    errors.IdempotencyKeyReused: 422,
    errors.LaneNotFound: 404,
    errors.NotAuthenticated: 401,
    errors.OutcomeUnknown: 503,
    errors.QueueUnavailable: 503,
    errors.QuotaExceeded: 429,
    errors.RecoveryUnderWay: 409,
    errors.ResendLimitReached: 409,
    errors.SameWallet: 422,
    errors.ScopeMissing: 403,
    errors.ServiceUnavailable: 503,
    errors.TooBusy: 503,
    errors.TooManyAttempts: 429,
    errors.TransferNotFound: 404,
    errors.WalletNotFound: 404,
}

CODE: Final[Mapping[type[errors.RequestRefused], str]] = {
    errors.ExternalIdMissing: "validation_failed",
    errors.ScopeMissing: "insufficient_scope",
}
"""Where the code is not the name of the error."""

FIELD_MISSING: Final[Mapping[type[errors.RequestRefused], str]] = {errors.ExternalIdMissing: "/external_id"}
"""What only some callers have to give, as a pointer: no schema can ask for it."""

HEADERS: Final[Mapping[type[errors.RequestRefused], Mapping[str, str]]] = {
    errors.NotAuthenticated: {"WWW-Authenticate": "Bearer"},
    errors.IdempotencyKeyInUse: {"Retry-After": "1"},
    errors.QueueUnavailable: {"Retry-After": "1"},
    errors.RecoveryUnderWay: {"Retry-After": "1"},
    errors.OutcomeUnknown: {"Retry-After": "1"},
    errors.ServiceUnavailable: {"Retry-After": "1"},
    errors.TooBusy: {"Retry-After": "1"},
}

ERRORS_PER_ITEM_MAX: Final = 10
"""A megabyte of wrong fields would otherwise be answered by nine of errors."""

INVALID: Final = "Some fields are not as they should be; errors names each."
DEFECT: Final = "This is a defect on our side. Nothing is known to have been done; tell us the request_id."

ONE: Final = "<one>"
MANY: Final = "<many>"
"""Tags for a body that is either; no part of a pointer to a field, and no name that a field could have."""

# What FastAPI and Starlette refuse by themselves.
CODE_BY_STATUS: Final = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "media_type_unsupported",
}

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

DETAIL_BY_STATUS: Final = {
    404: "There is nothing at this address. /docs lists what there is.",
    405: "This address does not take this method; the Allow header names those it takes.",
    413: "The body is larger than this address takes.",
    415: "Send the body as application/json.",
}


def install(app: FastAPI) -> None:
    """Make the application answer every failure as a problem."""
    for kind, handle in _HANDLERS.items():
        app.add_exception_handler(kind, handle)


async def answer(request: Request, error: Exception) -> Response:
    """Answer a failure where no application stands between: as `install` has it answered."""
    handle = next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)
    return await handle(request, error)


def code_of(kind: type[errors.RequestRefused]) -> str:
    """Name a refusal on the wire: `IdempotencyKeyReused` is `idempotency_key_reused`."""
    return CODE.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def body(*, status: int, code: str, detail: str, instance: str, request_id: str) -> dict[str, Any]:
    """Shape a problem."""
    return {
        "type": f"/problems/{code.replace('_', '-')}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": request_id,
    }


def refusal_body(request: Request, reason: errors.RequestRefused, *, within: str = "") -> dict[str, Any]:
    """Shape a refusal, for an answer of its own or for one item of many.

    Args:
        within: A pointer to the item.
    """
    kind = type(reason)
    problem = _body(request, status=STATUS[kind], code=code_of(kind), detail=reason.detail)
    if isinstance(reason, errors.BatchInvalid):
        return {**problem, "errors": [_named_item(place, item) for place, item in reason.items.items()]}
    if kind not in FIELD_MISSING:
        return problem
    pointer = within + FIELD_MISSING[kind]
    return {**problem, "errors": [{"pointer": pointer, "code": "missing", "detail": reason.detail}]}


def documented(*kinds: type[errors.RequestRefused]) -> dict[int | str, dict[str, Any]]:
    """Document refusals for OpenAPI, each with an example, under their statuses; `api/openapi` completes them."""
    answers: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, code = STATUS[kind], code_of(kind)
        example = body(status=status, code=code, detail=kind().detail, instance="", request_id="")
        if kind in FIELD_MISSING:
            example["errors"] = [{"pointer": FIELD_MISSING[kind], "code": "missing", "detail": kind().detail}]
        answer = answers.setdefault(
            status,
            {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"examples": {}}}},
        )
        answer["content"][MEDIA_TYPE]["examples"][code] = {"value": example}
    return answers


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestRefused)
    headers = dict(HEADERS.get(type(error), {}))
    if error.retry_seconds is not None:
        headers["Retry-After"] = str(error.retry_seconds)
    return _answer(refusal_body(request, error), headers=headers)


async def _refused_by_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = CODE_BY_STATUS.get(error.status_code, "malformed_request")
    detail = DETAIL_BY_STATUS.get(error.status_code, str(error.detail))
    headers = {"Allow": _allowed(request)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else {}
    return _answer(_body(request, status=error.status_code, code=code, detail=detail), headers=headers)


def _allowed(request: Request) -> str:
    """List the methods that an address takes; Starlette names those of one of its routes only."""
    routes = request.app.router.routes
    takes = (m for m in METHODS if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in routes))
    return ", ".join(name for method in takes for name in ((method, "HEAD") if method == "GET" else (method,)))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = _body(request, status=422, code="validation_failed", detail=INVALID)
    return _answer({**problem, "errors": [_named(item) for item in _bounded(error.errors())]})


def _bounded(found: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Leave out what is wrong beyond ten things in one item of a list; each item that is wrong is named."""
    counts: Counter[tuple[object, ...]] = Counter()
    for error in found:
        where: tuple[object, ...] = error["loc"]
        items = [place for place, part in enumerate(where) if isinstance(part, int)]
        item = where[: items[0] + 1] if items else where
        counts[item] += 1
        if counts[item] <= ERRORS_PER_ITEM_MAX:
            yield error


async def _database_failed(request: Request, error: Exception) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, UNAVAILABLE):
        return await _unavailable(request, error)
    assert isinstance(cause, psycopg.Error)
    log.error(
        "request.failed",
        path=request.url.path,
        error=first_line(cause),
        sqlstate=cause.sqlstate,
        constraint=cause.diag.constraint_name,
        stack="".join(traceback.format_tb(error.__traceback__)),
    )
    return _defect(request)


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("request.database_unavailable", path=request.url.path, error=first_line(error))
    return await _refused(request, errors.ServiceUnavailable())


async def _failed(request: Request, error: Exception) -> Response:
    log.error("request.failed", path=request.url.path, exc_info=error)
    return _defect(request)


def _defect(request: Request) -> Response:
    return _answer(_body(request, status=500, code="internal_error", detail=DEFECT))


def _named(item: Mapping[str, Any]) -> dict[str, str]:
    """Name what is wrong with a field. Never what was in it: that may be a PIN."""
    where: Sequence[Any] = item["loc"]
    parts = [str(part) for part in where[1:] if part not in {ONE, MANY}]
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
    return {"pointer": pointer, "code": item["type"], "detail": item["msg"]}


def _named_item(place: int, reason: errors.RequestRefused) -> dict[str, str]:
    return {"pointer": f"/transfers/{place}", "code": code_of(type(reason)), "detail": reason.detail}


def _body(request: Request, *, status: int, code: str, detail: str) -> dict[str, Any]:
    return body(
        status=status,
        code=code,
        detail=detail,
        instance=request.url.path,
        request_id=getattr(request.state, "request_id", ""),
    )


def _answer(problem: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(problem, status_code=problem["status"], headers=headers, media_type=MEDIA_TYPE)


_HANDLERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    errors.RequestRefused: _refused,
    HTTPException: _refused_by_framework,
    RequestValidationError: _invalid,
    DBAPIError: _database_failed,
    psycopg.Error: _database_failed,
    PoolTimeoutError: _unavailable,
    Exception: _failed,
}
