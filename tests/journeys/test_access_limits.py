"""Ask too often, from one address and as one caller, of a system with low limits; and from a browser."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

import httpx2
import pytest

from tests.access import log_in_with
from tests.callers import PIN, Person, connected, operating, problem_in, signed_up
from tests.eventually import eventually
from tests.running_system import System, running_system

REQUESTS_PER_SECOND = 5
SIGN_INS_PER_MINUTE = 6
ORIGIN = "https://app.example.org"

LIMITS = {
    "HISHAB_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND),
    "HISHAB_SIGN_INS_PER_MINUTE": str(SIGN_INS_PER_MINUTE),
    "HISHAB_CORS_ORIGINS": f"{ORIGIN}, https://other.example.org",
}


@pytest.fixture(scope="module")
def limited() -> Iterator[System]:
    """A system that lets nobody do much."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        with running_system(Path(directory) / "data", environment=LIMITS) as system:
            yield system


@pytest.fixture(scope="module")
def person(limited: System) -> Iterator[Person]:
    """Somebody with one sign-up and one log-in from here."""
    with signed_up(limited) as person:
        yield person


def from_address(system: System, address: str) -> httpx2.Client:
    """Connect through a proxy on this machine, which is believed."""
    return httpx2.Client(base_url=system.url, headers={"X-Forwarded-For": address}, timeout=60, trust_env=False)


def exhaust(http: httpx2.Client) -> httpx2.Response:
    """Ask until an answer is 429: side by side, since one by one a busy machine may take longer than a window."""
    at_once = REQUESTS_PER_SECOND * 4

    def ask() -> httpx2.Response | None:
        answers = list(threads.map(http.get, ["/v1/system/balance"] * at_once))
        return next((answer for answer in answers if answer.status_code == 429), None)

    with ThreadPoolExecutor(at_once) as threads:
        answer = eventually(ask)
    assert answer is not None
    return answer


class TestCaller:
    def test_is_told_what_is_left(self, limited: System, person: Person) -> None:
        exhaust(person.http)
        answer = eventually(lambda: _allowed(person.http))
        assert answer is not None
        assert answer.headers["ratelimit-policy"] == f'"caller";q={REQUESTS_PER_SECOND};w=1'
        assert answer.headers["ratelimit"] == f'"caller";r={REQUESTS_PER_SECOND - 1};t=1'

    def test_who_asks_too_often_is_told_when_to_come_back(self, person: Person) -> None:
        refused = exhaust(person.http)
        problem_in(refused, status=429, code="quota_exceeded")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["ratelimit"] == '"caller";r=0;t=1'
        assert eventually(lambda: _allowed(person.http))

    def test_is_the_same_with_another_token_or_key(self, limited: System, person: Person) -> None:
        made = eventually(lambda: _unless_refused(person.http.post("/v1/api-keys", json={"scopes": ["wallets:read"]})))
        assert made is not None
        with connected(limited, made.json()["key"]) as http:

            def refused_with_both() -> bool:
                """Ask with the key once in a window: what was asked with the token has used that up, or nothing has."""
                eventually(lambda: _allowed(person.http))
                exhaust(person.http)
                return http.get("/v1/system/balance").status_code == 429

            assert eventually(refused_with_both)

    def test_is_told_with_every_answer_that_is_about_them(self, person: Person) -> None:
        for path in ("/v1/transfers", "/v1/wallets/7", "/v1/system/audits/0198c0de-0000-7000-8000-000000000000"):
            assert "ratelimit" in person.http.get(path).headers

    def test_that_operates_is_not_counted(self, limited: System) -> None:
        with operating(limited) as http:
            answers = [http.get("/v1/system/balance") for _ in range(REQUESTS_PER_SECOND * 6)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit" in answer.headers for answer in answers)


class TestAddress:
    @pytest.mark.parametrize(
        ("ours", "neighbour", "stranger"),
        [
            ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
            ("2001:db8:1:1::7", "2001:db8:1:1:ffff::8", "2001:db8:1:2::7"),
        ],
    )
    def test_may_try_so_often_and_no_more(
        self, limited: System, person: Person, ours: str, neighbour: str, stranger: str
    ) -> None:
        """Each log-in is for another email, so that no account is locked."""
        with from_address(limited, ours) as http:
            for _ in range(SIGN_INS_PER_MINUTE):
                form = {"username": f"{token_hex(8)}@example.org", "password": PIN}
                assert http.post("/v1/token", data=form).status_code == 400
        with from_address(limited, neighbour) as http:
            refused = (
                http.post("/v1/token", data={"username": person.email, "password": PIN}),
                http.post("/v1/users", json={"name": "A", "email": f"{token_hex(8)}@example.org", "pin": PIN}),
            )
        for answer in refused:
            problem_in(answer, status=429, code="too_many_attempts")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        with from_address(limited, stranger) as http:
            assert http.post("/v1/token", data={"username": person.email, "password": PIN}).status_code == 200

    def test_is_not_counted_for_going_on(self, limited: System, person: Person) -> None:
        token = log_in_with(limited, email=person.email).json()["refresh_token"]
        with from_address(limited, "198.51.100.9") as http:
            for _ in range(SIGN_INS_PER_MINUTE + 2):
                answer = http.post("/v1/token", data={"grant_type": "refresh_token", "refresh_token": token})
                assert answer.status_code == 200
                token = answer.json()["refresh_token"]


class TestBrowser:
    def test_of_a_listed_origin_may_ask(self, limited: System) -> None:
        asks = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
        }
        with connected(limited, None) as http:
            preflight = http.options("/v1/transfers", headers=asks)
            answer = http.get("/v1/currencies", headers={"Origin": ORIGIN})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["x-request-id"]
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers

    def test_of_another_origin_may_not(self, limited: System) -> None:
        with connected(limited, None) as http:
            answer = http.get("/v1/currencies", headers={"Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in answer.headers

    def test_may_not_where_no_origin_is_listed(self, system: System) -> None:
        asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        with connected(system, None) as http:
            answers = [http.get("/v1/currencies", headers=asks), http.options("/v1/transfers", headers=asks)]
        for answer in answers:
            assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answers[1].status_code == 405


class TestHeaders:
    @pytest.mark.parametrize("path", ["/v1/users/me", "/v1/currencies", "/v1/nothing", "/livez", "/docs"])
    def test_protect_every_answer(self, system: System, path: str) -> None:
        with connected(system, None) as http:
            headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers

    @pytest.mark.parametrize("path", ["/v1/users/me", "/v1/users/me/balance", "/v1/wallets", "/v1/api-keys"])
    def test_keep_what_is_private_out_of_caches(self, payer: Person, path: str) -> None:
        assert payer.http.get(path).headers["cache-control"] in {"no-store", "private, no-cache"}

    @pytest.mark.parametrize("path", ["/docs", "/redoc"])
    def test_let_the_pages_load_what_they_need_from_here_alone(self, system: System, path: str) -> None:
        with connected(system, None) as http:
            page = http.get(path)
            policy = page.headers["content-security-policy"]
            assert "script-src 'self' 'unsafe-inline'" in policy
            sources = [part.partition('"')[0] for part in page.text.replace("href=", "src=").split('src="')[1:]]
            assert sources
            for source in sources:
                assert source.startswith("/"), f"{source} is not from here"
                assert http.get(source).status_code == 200


def _allowed(http: httpx2.Client) -> httpx2.Response | None:
    return _unless_refused(http.get("/v1/system/balance"))


def _unless_refused(answer: httpx2.Response) -> httpx2.Response | None:
    return None if answer.status_code == 429 else answer
