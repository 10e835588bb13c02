"""The predecessor's journey, by curl alone: sign up, log in, balance, transfer, histories, system balance, refusals."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest

from tests.callers import problem_in
from tests.eventually import eventually
from tests.running_system import System, running_system

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")

# No .curlrc, no proxy: what is tested is the line as it stands. The answer is read as it comes, headers first.
CURL = ("curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--include")

PIN = "31415"


def curl(*arguments: str) -> httpx2.Response:
    """Run curl to its end, and read what it printed."""
    printed = subprocess.run([*CURL, *arguments], stdout=subprocess.PIPE, check=True).stdout
    head, _, body = printed.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return httpx2.Response(int(status_line.split()[1]), headers=headers, content=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curled:
    """Somebody who has signed up, and reaches the system by curl."""

    url: str
    email: str
    wallet_id: str
    token: str

    def get(self, path: str) -> dict[str, Any]:
        answer = curl(f"{self.url}{path}", "-H", f"Authorization: Bearer {self.token}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, key: str, **fields: object) -> httpx2.Response:
        """Ask for a transfer in taka."""
        return curl(
            f"{self.url}/v1/transfers",
            *("-H", f"Authorization: Bearer {self.token}"),
            *("-H", f"Idempotency-Key: {key}"),
            *as_json(currency="BDT", **fields),
        )

    def ended(self, location: str) -> dict[str, Any]:
        """Poll a transfer until it has ended."""

        def look() -> dict[str, Any]:
            transfer = self.get(location)
            return {} if transfer["status"] == "queued" else transfer

        return eventually(look)

    @property
    def balance(self) -> int:
        return self.get("/v1/users/me/balance")["balance"]


def as_json(**fields: object) -> tuple[str, ...]:
    return "-H", "Content-Type: application/json", "-d", json.dumps(fields)


def sign_up(url: str, *, name: str, email: str, pin: object = PIN) -> httpx2.Response:
    return curl(f"{url}/v1/users", *as_json(name=name, email=email, pin=pin))


def log_in(url: str, *, email: str, pin: str = PIN) -> httpx2.Response:
    """Log in through the OAuth 2 form."""
    form = ("--data-urlencode", f"username={email}", "--data-urlencode", f"password={pin}")
    return curl(f"{url}/v1/token", "-d", "grant_type=password", *form)


def join(url: str, *, name: str) -> Curled:
    """Sign up and log in."""
    email = f"{name.lower()}.{token_hex(6)}@example.org"
    signed_up = sign_up(url, name=name, email=email)
    assert signed_up.status_code == 201, signed_up.text
    shown = signed_up.json()
    assert (shown["name"], shown["email"]) == (name, email)
    assert (shown["opening_grant"]["status"], shown["opening_grant"]["amount"]) == ("succeeded", 500_000)
    assert PIN not in signed_up.text
    logged_in = log_in(url, email=email)
    assert logged_in.status_code == 200, logged_in.text
    assert logged_in.headers["cache-control"] == "no-store"
    token = logged_in.json()
    assert token.items() >= {"token_type": "bearer", "expires_in": 900}.items()
    return Curled(url=url, email=email, wallet_id=shown["wallet_id"], token=token["access_token"])


class TestJourney:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        """The address of a system that nobody else uses: its balance is ours alone."""
        with (
            TemporaryDirectory(prefix="hishab-tests-") as directory,
            running_system(Path(directory) / "data") as system,
        ):
            yield system.url

    def test_two_people_from_sign_up_to_the_system_balance(self, url: str) -> None:
        amina, bashir = join(url, name="Amina"), join(url, name="Bashir")
        assert (amina.balance, bashir.balance) == (500_000, 500_000)

        accepted = amina.send("rent-1", destination_email=bashir.email, amount=125_050, reference="rent")
        assert accepted.status_code == 202, accepted.text
        assert accepted.json().items() >= {"status": "queued", "version": 1, "amount": 125_050}.items()
        transfer = amina.ended(accepted.headers["location"])
        assert transfer.items() >= {"status": "succeeded", "version": 2, "failure": None}.items()

        assert (amina.balance, bashir.balance) == (374_950, 625_050)
        assert amina.get("/v1/system/balance") == {"data": [{"currency": "BDT", "balance": 1_000_000}]}
        self._check_histories(amina, bashir, transfer)

    def _check_histories(self, amina: Curled, bashir: Curled, transfer: dict[str, Any]) -> None:
        """Both see the transfer first and their grant after it; a wallet's entries tell the balance after each."""
        for person, amount, balance in ((amina, -125_050, 374_950), (bashir, 125_050, 625_050)):
            history = person.get("/v1/transfers")["data"]
            assert history[0] == transfer
            assert [t["amount"] for t in history] == [125_050, 500_000]
            entries = person.get(f"/v1/wallets/{person.wallet_id}/entries")["data"]
            assert [(e["number"], e["amount"], e["balance_after"], e["transfer_id"]) for e in entries] == [
                (2, amount, balance, transfer["id"]),
                (1, 500_000, 500_000, history[1]["id"]),
            ]


@pytest.fixture(scope="module")
def amina(system: System) -> Curled:
    """Somebody whose requests are all refused, so that her 5,000.00 taka stay what they are."""
    return join(system.url, name="Amina")


@pytest.fixture(scope="module")
def bashir(system: System) -> Curled:
    """Somebody whom she pays nothing."""
    return join(system.url, name="Bashir")


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _nothing_moves(self, amina: Curled, bashir: Curled) -> Iterator[None]:
        yield
        assert (amina.balance, bashir.balance) == (500_000, 500_000)

    def test_a_low_balance(self, amina: Curled, bashir: Curled) -> None:
        accepted = amina.send(token_hex(8), destination_email=bashir.email, amount=500_001)
        assert accepted.status_code == 202, accepted.text
        transfer = amina.ended(accepted.headers["location"])
        assert (transfer["status"], transfer["failure"]["code"]) == ("failed", "insufficient_funds")
        assert transfer["failure"]["message"]
        assert transfer["completed_at"]
        assert transfer["id"] not in {t["id"] for t in bashir.get("/v1/transfers")["data"]}

    @pytest.mark.parametrize(
        "destination",
        [
            {"destination_email": "nobody@example.org"},
            {"destination_wallet_id": "0198c0de-0000-7000-8000-000000000000"},
        ],
    )
    def test_an_unknown_recipient(self, amina: Curled, destination: dict[str, str]) -> None:
        answer = amina.send(token_hex(8), amount=1, **destination)
        problem_in(answer, status=422, code="destination_unknown")

    def test_oneself_as_recipient(self, amina: Curled) -> None:
        for destination in ({"destination_email": amina.email}, {"destination_wallet_id": amina.wallet_id}):
            answer = amina.send(token_hex(8), amount=1, **destination)
            problem_in(answer, status=422, code="same_wallet")

    def test_somebody_elses_wallet_as_source(self, amina: Curled, bashir: Curled) -> None:
        wallets = {"source_wallet_id": bashir.wallet_id, "destination_wallet_id": amina.wallet_id}
        problem_in(amina.send(token_hex(8), amount=1, **wallets), status=404, code="wallet_not_found")

    @pytest.mark.parametrize("pin", ["8642", "864209", "8642x", "864 2", "-8642", "৮৬৪২০", "86420\n", 86420, None])
    def test_a_pin_that_is_not_five_digits(self, system: System, pin: object) -> None:
        answer = sign_up(system.url, name="Chhaya", email=f"{token_hex(6)}@example.org", pin=pin)
        problem = problem_in(answer, status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == ["/pin"]
        assert "8642" not in answer.text

    def test_a_correct_pin_beside_a_missing_field_is_not_echoed(self, system: System) -> None:
        answer = curl(f"{system.url}/v1/users", *as_json(name="Chhaya", pin="97531"))
        problem = problem_in(answer, status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == ["/email"]
        assert "97531" not in answer.text

    def test_a_taken_email(self, system: System, amina: Curled) -> None:
        for email in (amina.email, amina.email.upper()):
            answer = sign_up(system.url, name="Amina", email=email, pin="97531")
            problem_in(answer, status=409, code="email_taken")
            assert "97531" not in answer.text

    def test_a_wrong_pin_is_answered_as_an_unknown_email_is(self, system: System, amina: Curled) -> None:
        wrong_pin = log_in(system.url, email=amina.email, pin="97531")
        unknown_email = log_in(system.url, email="nobody@example.org", pin="97531")
        for answer in (wrong_pin, unknown_email):
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json"), answer.text
            assert answer.json()["error"] == "invalid_grant"
            assert answer.headers["cache-control"] == "no-store"
            assert "97531" not in answer.text
        assert wrong_pin.json() == unknown_email.json()

    @pytest.mark.parametrize("credentials", [None, "Bearer ", "Bearer nonsense", "Bearer sk_nonsense", "Basic QTpC"])
    @pytest.mark.parametrize("path", ["/v1/users/me", "/v1/users/me/balance", "/v1/transfers", "/v1/system/balance"])
    def test_no_token(self, system: System, path: str, credentials: str | None) -> None:
        shown = ("-H", f"Authorization: {credentials}") if credentials else ()
        answer = curl(f"{system.url}{path}", *shown)
        problem_in(answer, status=401, code="not_authenticated")
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_no_token_for_a_transfer(self, system: System, bashir: Curled) -> None:
        body = as_json(destination_email=bashir.email, amount=1, currency="BDT")
        answer = curl(f"{system.url}/v1/transfers", "-H", f"Idempotency-Key: {token_hex(8)}", *body)
        problem_in(answer, status=401, code="not_authenticated")
