"""Hold the log-in to this: its tokens are renewed when they are refused, by one for all, and never for ever."""

import asyncio
from threading import Lock
from urllib.parse import parse_qs

import pytest

from hishab.client import Client
from hishab.errors import DeniedError
from tests.unit.asking import NEW, TRANSFER, problem
from tests.unit.scripted_server import Reply, Script, Seen, serving

REFUSED = problem(401, "not_authenticated", WWW_Authenticate="Bearer")


class Desk:
    """Hands out tokens, access-1 for a log-in and the next for each refresh, and lets in who shows the newest."""

    def __init__(self, *, refreshes: bool = True) -> None:
        self.refreshes = refreshes
        self.forms: list[dict[str, str]] = []
        self.shown: list[str] = []
        self.is_strict = True
        self.lock = Lock()

    def answer(self, request: Seen) -> Reply:
        with self.lock:
            if request.path == "/v1/token":
                assert "Authorization" not in request.headers
                return self._hand_out({name: values[0] for name, values in parse_qs(request.body.decode()).items()})
            self.shown.append(request.headers["Authorization"])
            return Reply(status=202, body=TRANSFER) if self.shown[-1] == f"Bearer {self._newest}" else REFUSED

    def expire(self) -> None:
        self.forms.append({"expired": "now"})

    @property
    def _newest(self) -> str:
        return f"access-{len(self.forms)}"

    def _hand_out(self, form: dict[str, str]) -> Reply:
        self.forms.append(form)
        tokens = {"access_token": self._newest, "token_type": "bearer", "expires_in": 900, "scope": ""}
        return Reply(body=tokens | ({"refresh_token": f"refresh-{len(self.forms)}"} if self.refreshes else {}))


def logged_in(url: str) -> Client:
    return Client.log_in(url, email="asha@example.com", pin="48151", patience_seconds=60)


def test_logs_in_with_the_first_call_and_not_again() -> None:
    desk = Desk()

    async def submit(url: str) -> None:
        async with logged_in(url) as client:
            await client.submit(NEW)
            await client.submit(NEW)

    with serving(desk.answer) as url:
        asyncio.run(submit(url))
    assert desk.forms == [{"grant_type": "password", "username": "asha@example.com", "password": "48151"}]
    assert desk.shown == ["Bearer access-1"] * 2


def test_renews_what_was_refused_once_for_all_who_ask() -> None:
    desk = Desk()

    async def submit(url: str) -> None:
        async with logged_in(url) as client:
            await client.submit(NEW)
            desk.expire()
            await asyncio.gather(*(client.submit(NEW) for _ in range(20)))
            desk.expire()
            await client.submit(NEW)

    with serving(desk.answer) as url:
        asyncio.run(submit(url))
    refreshes = [form for form in desk.forms if form.get("grant_type") == "refresh_token"]
    assert refreshes == [
        {"grant_type": "refresh_token", "refresh_token": "refresh-1"},
        {"grant_type": "refresh_token", "refresh_token": "refresh-3"},
    ]


def test_sends_the_same_under_the_same_key_after_renewing() -> None:
    desk, keys = Desk(), list[str]()

    def script(request: Seen) -> Reply:
        keys.extend(filter(None, [request.headers.get("Idempotency-Key")]))
        return desk.answer(request)

    async def submit(url: str) -> None:
        async with logged_in(url) as client:
            await client.submit(NEW)
            desk.expire()
            await client.submit(NEW)

    with serving(script) as url:
        asyncio.run(submit(url))
    assert len(keys) == 3
    assert keys[1] == keys[2]


def ask_once(script: Script) -> DeniedError:
    async def submit(url: str) -> None:
        async with logged_in(url) as client:
            await client.submit(NEW, idempotency_key="k")

    with serving(script) as url, pytest.raises(DeniedError) as caught:
        asyncio.run(submit(url))
    return caught.value


def test_renews_once_a_call_and_no_more() -> None:
    desk = Desk()

    def script(request: Seen) -> Reply:
        return desk.answer(request) if request.path == "/v1/token" else REFUSED

    assert ask_once(script).status == 401
    assert [form["grant_type"] for form in desk.forms] == ["password", "refresh_token"]


def test_a_refused_token_without_a_way_to_renew_it_is_an_error() -> None:
    desk = Desk(refreshes=False)
    desk.expire()

    def script(request: Seen) -> Reply:
        return desk.answer(request) if request.path == "/v1/token" else REFUSED

    assert ask_once(script).code == "not_authenticated"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(status=400, body={"error": "invalid_grant", "error_description": "The PIN is wrong."}), "invalid_grant"),
        (problem(429, "too_many_attempts", Retry_After="60"), "too_many_attempts"),
    ],
)
def test_a_log_in_that_is_refused_is_not_tried_again(reply: Reply, code: str) -> None:
    seen: list[Seen] = []

    def script(request: Seen) -> Reply:
        seen.append(request)
        return reply

    error = ask_once(script)
    assert (error.code, error.idempotency_key, error.outcome_unknown, len(seen)) == (code, "k", False, 1)
    assert "48151" not in str(error)
