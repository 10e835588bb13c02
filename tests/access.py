"""Log in, refresh, make keys and age rows in tests of access: time that a rule waits for is moved, not waited for."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import httpx2
import psycopg

from api.known_callers import REMEMBERED_SECONDS
from tests.callers import PIN, Person, answered, connected
from tests.eventually import eventually
from tests.running_system import System

REVOKED_SECONDS_MAX = REMEMBERED_SECONDS + 10.0
"""The promise, and what a busy machine may add to it."""


def ask_for_token(system: System, **form: str) -> httpx2.Response:
    """Ask for tokens, as a form."""
    with connected(system, None) as http:
        return answered(lambda: http.post("/v1/token", data=form))


def log_in_with(system: System, *, email: str, pin: str = PIN) -> httpx2.Response:
    """Try to log in."""
    return ask_for_token(system, username=email, password=pin)


def refresh_with(system: System, token: str) -> httpx2.Response:
    """Try to go on with a session."""
    return ask_for_token(system, grant_type="refresh_token", refresh_token=token)


def session_of(system: System, person: Person) -> dict[str, Any]:
    """Begin another session, and give its tokens."""
    answer = log_in_with(system, email=person.email)
    assert answer.status_code == 200, answer.text
    return answer.json()


def make_key(http: httpx2.Client, *scopes: str, **fields: object) -> dict[str, Any]:
    """Make an API key, and give it as it is shown once."""
    answer = http.post("/v1/api-keys", json={"scopes": list(scopes), **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


@contextmanager
def keyed(system: System, http: httpx2.Client, *scopes: str) -> Generator[httpx2.Client]:
    """Connect with a new key of somebody's."""
    with connected(system, make_key(http, *scopes)["key"]) as with_key:
        yield with_key


def is_good(system: System, credentials: str, *, path: str = "/v1/system/balance") -> bool:
    """Say whether credentials are let in."""
    with connected(system, credentials) as http:
        answer = http.get(path)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


def await_refusal(system: System, credentials: str) -> None:
    """Wait until credentials that were good are no longer."""
    eventually(lambda: not is_good(system, credentials), seconds_max=REVOKED_SECONDS_MAX)


def execute(system: System, statement: LiteralString, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a statement in the system's database, and give the rows if there are any."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []
