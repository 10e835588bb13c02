"""Read bodies strictly: what JSON leaves to chance is refused, and text that cannot be stored never gets further."""

import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.domain.money import AMOUNT_MINOR_MAX

JSON: Final = "application/json"

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class _UnspeakableError(ValueError):
    """The JSON is of a kind that readers do not agree on. Says what, in words of ours."""


class StrictModel(BaseModel):
    """A body: no field that is not known, no value that is not of the type it should be."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class StrictRoute(APIRoute):
    """A route whose JSON is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the route a request that reads its JSON strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if self.body_field is not None and not is_json(request.headers.get("content-type", "")):
                raise HTTPException(415)
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 (what JSON may hold)
        """Parse the body, as `parse_json`."""
        return parse_json(await self.body())


def is_json(content_type: str) -> bool:
    """Say whether a Content-Type header announces JSON."""
    return content_type == JSON or content_type.partition(";")[0].strip().lower() == JSON


def parse_json(body: bytes) -> Any:  # noqa: ANN401 (what JSON may hold)
    """Parse a body; duplicate keys, NaN and infinities are refused, and so is nesting without end.

    Raises:
        HTTPException: 400, with what is wrong.
    """
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise _UnspeakableError("it begins with a byte order mark")
        return _DECODER.decode(text)
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise HTTPException(400, f"The body is not valid JSON: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at line {error.lineno}, column {error.colno}"
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case RecursionError():
            return "it is nested too deeply"
        case _UnspeakableError():
            return str(error)
        case _:
            # Python refuses to read integers of more than 4,300 digits.
            return "a number in it is too large"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _UnspeakableError("a key stands in it twice")
    return found


def _refuse_constant(_: str) -> None:
    raise _UnspeakableError("NaN and infinities are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise _UnspeakableError("a number in it is too large")
    return number


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters or lone surrogates")
    return text


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("must be a UUID, as 8-4-4-4-12 hex digits")
    return UUID(value)


def _moment(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            # Near either end of the calendar there is no such time in UTC.
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a time with its offset from UTC, as 2026-11-22T13:00:00Z (RFC 3339)")


def _email(text: str) -> str:
    name, at, host = text.rpartition("@")
    if not at or not name or "." not in host or not text.isprintable() or " " in text:
        raise ValueError("must be an email address")
    return text.casefold()


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)

PlainText = Annotated[str, AfterValidator(_plain)]
Id = Annotated[UUID, BeforeValidator(_uuid)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_plain), AfterValidator(_email)]
Amount = Annotated[int, Field(ge=1, le=AMOUNT_MINOR_MAX, description="In minor units (paisa, cents).")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")]
