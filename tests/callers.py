"""Call a running system as people and operators do, and hold every refusal to its one shape."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx2

from tests.eventually import eventually
from tests.running_system import System

PIN = "27182"
GRANT_MINOR = 500_000
ANSWER_SECONDS_MAX = 60.0
END_SECONDS_MAX = 60.0
PROBLEM = "application/problem+json"
PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has signed up and logged in: 5,000.00 taka in a wallet of their own."""

    http: httpx2.Client = field(repr=False)
    token: str = field(repr=False)
    id: str
    email: str
    wallet_id: str

    @property
    def balance_minor(self) -> int:
        return self.http.get("/v1/users/me/balance").json()["balance"]


@contextmanager
def connected(system: System, credentials: str | None) -> Generator[httpx2.Client]:
    """Connect with a token, with an API key, or with nothing to show."""
    headers = {"Authorization": f"Bearer {credentials}"} if credentials else {}
    with httpx2.Client(base_url=system.url, headers=headers, timeout=ANSWER_SECONDS_MAX, trust_env=False) as http:
        yield http


@contextmanager
def operating(system: System) -> Generator[httpx2.Client]:
    """Connect as an operator."""
    with connected(system, system.operator_key) as http:
        yield http


@contextmanager
def signed_up(system: System) -> Generator[Person]:
    """Sign somebody new up, and log them in."""
    email = f"{token_hex(8)}@example.org"
    with connected(system, None) as http:
        answer = http.post("/v1/users", json={"name": "Rina", "email": email, "pin": PIN})
        assert answer.status_code == 201, answer.text
        shown = answer.json()
    token = log_in(system, email)
    with connected(system, token) as http:
        person = Person(http=http, token=token, id=shown["id"], email=email, wallet_id=shown["wallet_id"])
        eventually(lambda: _has_grant(person), otherwise=lambda: f"{email} has no grant")
        yield person


def _has_grant(person: Person) -> bool:
    """Say so. The answer to a sign-up waits five seconds for it, and a lane's worker may still be starting."""
    answer = person.http.get("/v1/users/me/balance")
    return answer.status_code == 200 and answer.json()["balance"] == GRANT_MINOR


def log_in(system: System, email: str) -> str:
    """Get a new token."""
    with connected(system, None) as http:
        answer = http.post("/v1/token", data={"username": email, "password": PIN})
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def operators_wallet(http: httpx2.Client, *, holding: int = 0, currency: str = "CZK") -> str:
    """Open a wallet of the operators', funded from issuance; give its id."""
    wallet_id: str = http.post("/v1/wallets", json={"currency": currency, "external_id": token_hex(8)}).json()["id"]
    if holding:
        (issuance,) = http.get("/v1/wallets", params={"kind": "issuance", "currency": currency}).json()["data"]
        funding = {"source_wallet_id": issuance["id"], "currency": currency}
        answer = pay(http, to=wallet_id, amount=holding, key=token_hex(8), fields=funding)
        assert ended(http, answer.json()["id"])["status"] == "succeeded"
    return wallet_id


def pay(
    http: httpx2.Client, *, to: str, amount: int, key: str, fields: Mapping[str, object] | None = None
) -> httpx2.Response:
    """Send a transfer to a wallet: taka out of one's own, unless other fields are given."""
    body = {"destination_wallet_id": to, "amount": amount, "currency": "BDT", **(fields or {})}
    return http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key})


def ended(http: httpx2.Client, transfer_id: str) -> dict[str, Any]:
    """Wait until a transfer has ended, and give it."""

    def look() -> dict[str, Any] | None:
        answer = http.get(f"/v1/transfers/{transfer_id}")
        assert answer.status_code == 200, answer.text
        transfer: dict[str, Any] = answer.json()
        return None if transfer["status"] == "queued" else transfer

    transfer = eventually(look, seconds_max=END_SECONDS_MAX, otherwise=lambda: f"{transfer_id} is still queued")
    assert transfer is not None
    return transfer


def answered(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """Ask until the answer is not 503: of many who want one thing, each waits two seconds for those before it."""

    def look() -> httpx2.Response | None:
        answer = ask()
        return None if answer.status_code == 503 else answer

    answer = eventually(look, otherwise=lambda: "there is nothing but 503")
    assert answer is not None
    return answer


def sent_with(http: httpx2.Client, key: str) -> list[dict[str, Any]]:
    """List what was accepted under an idempotency key."""
    return http.get("/v1/transfers", params={"idempotency_key": key}).json()["data"]


def audited(http: httpx2.Client) -> dict[str, Any]:
    """Have the whole ledger audited, and give the report."""
    asked = http.post("/v1/system/audits")
    assert asked.status_code == 202, asked.text

    def look() -> dict[str, Any] | None:
        audit: dict[str, Any] = http.get(asked.headers["Location"]).json()
        return audit if audit["status"] == "finished" else None

    audit = eventually(look, seconds_max=END_SECONDS_MAX, otherwise=lambda: "the audit is not finished")
    assert audit is not None
    return audit


def problem_in(answer: httpx2.Response, *, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem in the shape that all problems have (RFC 9457), and give it."""
    assert (answer.status_code, answer.headers.get("content-type")) == (status, PROBLEM), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem.keys() - {"errors"} == PROBLEM_FIELDS
    assert (problem["status"], problem["code"]) == (status, code), answer.text
    assert problem["type"] == f"/problems/{code.replace('_', '-')}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers.get("x-request-id")
    for error in problem.get("errors", []):
        assert error.keys() == {"pointer", "code", "detail"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    return problem
