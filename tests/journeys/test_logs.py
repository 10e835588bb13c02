"""Make requests fail for a defect, and read what the API logs: what failed and where, and nobody's data."""

from collections.abc import Generator
from contextlib import contextmanager
from secrets import token_hex
from typing import LiteralString

import httpx2
import psycopg

from tests.callers import PIN, connected, problem_in
from tests.eventually import eventually
from tests.running_system import System, tail


@contextmanager
def defect(system: System, make: LiteralString, *, mend: LiteralString) -> Generator[None]:
    """Have a constraint in the database that the code knows nothing of."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute(make)
        try:
            yield
        finally:
            connection.execute(mend)


def logged(system: System, *words: str) -> str:
    """Give all that the API logs, once it has logged a line with all of these words."""

    def look() -> str:
        lines = [line for line in system.log.read_text().splitlines() if line.startswith("api")]
        return "\n".join(lines) if any(all(word in line for word in words) for line in lines) else ""

    return eventually(look, otherwise=lambda: f"no line with {words}\n{tail(system.log)}")


def test_show_no_email_and_no_hash_of_a_sign_up_that_failed(system: System) -> None:
    email, request_id = f"{token_hex(8)}@example.org", token_hex(8)
    surprise = defect(
        system,
        "ALTER TABLE users ADD CONSTRAINT users_surprise CHECK (name <> 'Nobody')",
        mend="ALTER TABLE users DROP CONSTRAINT users_surprise",
    )
    with surprise, connected(system, None) as http:
        body = {"name": "Nobody", "email": email, "pin": PIN}
        answer = http.post("/v1/users", json=body, headers={"X-Request-ID": request_id})
    problem_in(answer, status=500, code="internal_error")
    log = logged(system, request_id, "constraint=users_surprise", "sqlstate=23514")
    assert not [secret for secret in (email, "argon2", "DETAIL") if secret in log]


def test_show_no_name_of_a_wallet_that_could_not_be_opened(system: System, operator: httpx2.Client) -> None:
    name, request_id = token_hex(8), token_hex(8)
    surprise = defect(
        system,
        "ALTER TABLE wallets ADD CONSTRAINT wallets_surprise CHECK (currency <> 'AFN') NOT VALID",
        mend="ALTER TABLE wallets DROP CONSTRAINT wallets_surprise",
    )
    with surprise:
        body = {"currency": "AFN", "external_id": name}
        answer = operator.post("/v1/wallets", json=body, headers={"X-Request-ID": request_id})
    problem_in(answer, status=500, code="internal_error")
    log = logged(system, request_id, "constraint=wallets_surprise")
    assert not [secret for secret in (name, "DETAIL") if secret in log]
