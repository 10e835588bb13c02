"""Hold problems to being complete: every refusal has a status, and what nobody foresaw has the shape of the rest."""

import asyncio

import httpx2
import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from api import problems
from api.main import make_app, make_edge
from shared.domain.errors import RequestRefused
from shared.settings import ApiSettings
from tests.callers import problem_in

SETTINGS = ApiSettings(
    database_url="postgresql://nobody@127.0.0.1:1/nothing",
    broker_url="redis://127.0.0.1:1/0",
    token_keys=(("a", bytes(32)),),
    pin_pepper=bytes(32),
    webhook_secret_keys=(Fernet.generate_key().decode(),),
)


@pytest.mark.parametrize("refusal", RequestRefused.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_status_and_says_what_to_do(refusal: type[RequestRefused]) -> None:
    assert 400 <= problems.STATUS[refusal] <= 503
    assert refusal().detail.endswith(".")


def test_every_operation_has_a_name_that_people_can_read() -> None:
    paths = make_app(SETTINGS, lane_count=1).openapi()["paths"]
    operations = [operation for path, item in paths.items() if path.startswith("/v1/") for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert {"post_transfer", "get_transfer_events", "post_token"} <= set(ids)
    assert len(set(ids)) == len(ids)
    for operation in operations:
        made_up = operation["operationId"].replace("_", " ").title()
        assert operation["summary"] != made_up, f"{made_up} has no summary of its own"


def test_what_nobody_foresaw_is_a_problem_that_gives_nothing_away() -> None:
    app = make_app(SETTINGS, lane_count=1)

    def fail() -> None:
        message = "the PIN is 12345"
        raise ZeroDivisionError(message)

    app.add_api_route("/fails", fail)

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(make_edge(app), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get("/fails", headers={"X-Request-ID": "r-1"})

    answer = asyncio.run(ask())
    problem = problem_in(answer, status=500, code="internal_error")
    assert problem["request_id"] == "r-1"
    assert "12345" not in answer.text
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    "kind",
    [
        psycopg.errors.AdminShutdown,
        psycopg.errors.CannotConnectNow,
        psycopg.errors.ConnectionTimeout,
        psycopg.errors.CrashShutdown,
        psycopg.errors.DeadlockDetected,
        psycopg.errors.DiskFull,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.errors.LockNotAvailable,
        psycopg.errors.QueryCanceled,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.SerializationFailure,
        psycopg.errors.TooManyConnections,
        psycopg.InterfaceError,
    ],
    ids=lambda kind: kind.__name__,
)
@pytest.mark.parametrize("way", ["psycopg", "sqlalchemy"])
def test_trouble_of_the_database_is_never_a_defect(kind: type[psycopg.Error], way: str) -> None:
    error = kind("SELECT 12345")
    failed = error if way == "psycopg" else DBAPIError("SELECT", None, error)
    answer = asyncio.run(problems.answer(Request({"type": "http", "path": "/", "headers": []}), failed))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert b"service_unavailable" in answer.body
    assert b"12345" not in answer.body
