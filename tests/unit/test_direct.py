"""Hold direct routes to answering as the framework does: one operation, two ways to it, the same answers."""

import asyncio
import json
from typing import Annotated

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.responses import Response
from starlette.types import ASGIApp

from api import problems
from api.direct import Direct, DirectRoute
from api.strict import Amount, PlainText, StrictModel
from shared.domain.errors import NotAuthenticated

router = APIRouter(route_class=DirectRoute)


class Asked(StrictModel):
    amount: Amount
    note: PlainText | None = None


async def caller_of(request: Request) -> str:
    if not request.headers.get("authorization"):
        raise NotAuthenticated
    return "somebody"


@router.post("/echo", status_code=202)
async def echo(
    asked: Asked,
    caller: Annotated[str, Depends(caller_of)],
    a_header: Annotated[str | None, Header()] = None,
) -> Response:
    if asked.note == "defect":
        message = "the PIN is 12345"
        raise ZeroDivisionError(message)
    return Response(json.dumps([asked.amount, asked.note, caller, a_header]), status_code=202)


def served(app: FastAPI) -> FastAPI:
    problems.install(app)
    app.include_router(router)
    return app


def ask(app: ASGIApp, request: httpx2.Request) -> httpx2.Response:
    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport) as http:
            return await http.send(request)

    return asyncio.run(send())


GOOD = '{"amount": 5, "note": "\\u00e9"}'
AUTHORISED = {"Authorization": "Bearer x", "Content-Type": "application/json"}
REQUESTS = {
    "good": (GOOD, AUTHORISED, 202),
    "with a header": (GOOD, {**AUTHORISED, "A-Header": "h"}, 202),
    "media type with a parameter": (GOOD, {**AUTHORISED, "Content-Type": "Application/JSON; charset=utf-8"}, 202),
    "another media type": (GOOD, {**AUTHORISED, "Content-Type": "text/plain"}, 415),
    "no media type": (GOOD, {"Authorization": "Bearer x"}, 415),
    "no credentials": (GOOD, {"Content-Type": "application/json"}, 401),
    "a field too much": ('{"amount": 5, "more": 1}', AUTHORISED, 422),
    "an amount as text": ('{"amount": "5"}', AUTHORISED, 422),
    "a key twice": ('{"amount": 5, "amount": 6}', AUTHORISED, 400),
    "a list": ("[]", AUTHORISED, 422),
    "nothing": ("", AUTHORISED, 422),
    "null": ("null", AUTHORISED, 422),
    "no JSON": ("{", AUTHORISED, 400),
    "no UTF-8": (b"\xff", AUTHORISED, 400),
    "a defect of ours": ('{"amount": 5, "note": "defect"}', AUTHORISED, 500),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_answers_as_the_framework_does(case: str) -> None:
    content, headers, status = REQUESTS[case]
    request = httpx2.Request("POST", "http://test/echo", content=content, headers=headers)
    framework = served(FastAPI())
    expected = ask(framework, request)
    found = ask(Direct(served(FastAPI()), routers=[router]), request)
    assert found.status_code == status
    assert (found.status_code, found.content, dict(found.headers)) == (
        expected.status_code,
        expected.content,
        dict(expected.headers),
    )


def test_nothing_of_a_defect_is_given_away() -> None:
    content, headers, _ = REQUESTS["a defect of ours"]
    request = httpx2.Request("POST", "http://test/echo", content=content, headers=headers)
    assert "12345" not in ask(Direct(served(FastAPI()), routers=[router]), request).text
