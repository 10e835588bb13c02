"""Hold the client to this: it goes on until the outcome is known, under one key, and stops where going on is no use."""

import asyncio
import json
import socket
from collections.abc import Awaitable
from urllib.parse import parse_qs, urlsplit

import pytest

from hishab.client import Acceptance, Client
from hishab.errors import DeniedError, HishabError, RefusedError, UnavailableError, UnexpectedAnswerError
from tests.unit.asking import ACCEPTED, NEW, TRANSFER, ask, one_after_the_other, problem
from tests.unit.scripted_server import Reply, Seen, serving


def send(client: Client) -> Awaitable[Acceptance]:
    return client.submit(NEW, idempotency_key="key-1")


class TestSending:
    def test_carries_the_key_and_whole_minor_units(self) -> None:
        script, seen = one_after_the_other(ACCEPTED)
        acceptance = ask(script, send)
        assert not acceptance.replayed
        assert acceptance.transfer.amount_minor == 100
        (request,) = seen
        assert (request.method, request.path) == ("POST", "/v1/transfers")
        assert request.headers["Authorization"] == "Bearer sk_test"
        assert request.headers["Idempotency-Key"] == "key-1"
        assert json.loads(request.body) == {
            "source_wallet_id": "a",
            "destination_wallet_id": "b",
            "amount": 100,
            "currency": "CZK",
        }

    def test_does_not_go_to_this_machine_by_a_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        script, _ = one_after_the_other(ACCEPTED)
        assert ask(script, send).transfer.id == "t1"

    def test_tells_a_replay(self) -> None:
        script, _ = one_after_the_other(Reply(status=202, body=TRANSFER, headers={"Idempotent-Replayed": "true"}))
        assert ask(script, send).replayed


class TestRepeating:
    @pytest.mark.parametrize(
        "setback",
        [
            Reply(status=0),
            problem(503, "outcome_unknown"),
            problem(503, "queue_unavailable"),
            problem(409, "idempotency_key_in_use"),
            problem(429, "quota_exceeded"),
            problem(500, "internal"),
            Reply(status=502, body=b"<html>Bad Gateway</html>"),
        ],
        ids=["cut off", "outcome unknown", "queue unavailable", "key in use", "quota", "defect", "proxy"],
    )
    def test_sends_the_very_same_again_until_the_outcome_is_known(self, setback: Reply) -> None:
        script, seen = one_after_the_other(setback, setback, ACCEPTED)
        assert ask(script, send).transfer.id == "t1"
        assert [(request.headers["Idempotency-Key"], request.body) for request in seen] == [("key-1", seen[0].body)] * 3

    def test_waits_as_long_as_the_server_asks(self) -> None:
        script, _ = one_after_the_other(problem(503, "queue_unavailable", Retry_After="1"), ACCEPTED)

        async def timed(client: Client) -> float:
            began_at = asyncio.get_running_loop().time()
            await send(client)
            return asyncio.get_running_loop().time() - began_at

        assert ask(script, timed) >= 1

    def test_gives_up_when_patience_ends_and_says_that_nothing_is_known(self) -> None:
        script, seen = one_after_the_other(problem(503, "outcome_unknown"))
        with pytest.raises(UnavailableError) as caught:
            ask(script, send, patience_seconds=3)
        assert len(seen) > 1
        assert (caught.value.status, caught.value.code, caught.value.request_id) == (503, "outcome_unknown", "r7")

    def test_gives_up_on_a_defect_after_a_few_tries(self) -> None:
        script, seen = one_after_the_other(problem(500, "internal"))
        with pytest.raises(UnavailableError):
            ask(script, send, patience_seconds=60)
        assert len(seen) == 5

    def test_gives_up_soon_where_nobody_has_ever_answered(self) -> None:
        async def ask_nobody() -> None:
            with socket.socket() as place:
                place.bind(("127.0.0.1", 0))
                url = f"http://127.0.0.1:{place.getsockname()[1]}"
                async with Client(url, api_key="sk_test", first_answer_seconds=0.5) as client:
                    await client.currencies()

        with pytest.raises(UnavailableError, match="does not answer"):
            asyncio.run(asyncio.wait_for(ask_nobody(), timeout=60))

    def test_has_patience_again_once_there_was_an_answer(self) -> None:
        script, seen = one_after_the_other(ACCEPTED, *[Reply(status=0)] * 4, ACCEPTED)

        async def send_twice(url: str) -> None:
            async with Client(url, api_key="sk_test", first_answer_seconds=0.1) as client:
                await send(client)
                await send(client)

        with serving(script) as url:
            asyncio.run(send_twice(url))
        assert len(seen) == 6


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (400, "malformed_json", RefusedError),
            (404, "wallet_not_found", RefusedError),
            (409, "some_new_conflict", RefusedError),
            (422, "same_wallet", RefusedError),
            (401, "unauthenticated", DeniedError),
            (403, "insufficient_scope", DeniedError),
        ],
    )
    def test_asks_once_and_passes_the_answer_on(self, status: int, code: str, kind: type[HishabError]) -> None:
        script, seen = one_after_the_other(problem(status, code))
        with pytest.raises(kind) as caught:
            ask(script, send)
        assert len(seen) == 1
        error = caught.value
        assert (error.status, error.code, error.detail, error.request_id) == (status, code, "Not so.", "r7")

    @pytest.mark.parametrize("body", [b"<html>no</html>", b"{}", b'{"code": ""}'])
    def test_never_are_without_a_code(self, body: bytes) -> None:
        script, _ = one_after_the_other(Reply(status=418, body=body))
        with pytest.raises(RefusedError) as caught:
            ask(script, send)
        assert caught.value.code == "http_418"

    def test_names_the_parts_of_a_request_that_are_wrong(self) -> None:
        body = {
            "code": "invalid_request",
            "detail": "Not so.",
            "errors": [{"pointer": "/amount", "detail": "too much"}],
        }
        script, _ = one_after_the_other(Reply(status=422, body=body))
        with pytest.raises(RefusedError, match=r"Not so\.; /amount too much"):
            ask(script, send)

    @pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[]", b'{"id": "t1"}'])
    def test_does_not_take_anything_for_an_acceptance(self, body: bytes) -> None:
        script, _ = one_after_the_other(Reply(status=202, body=body))
        with pytest.raises(UnexpectedAnswerError):
            ask(script, send)

    def test_finds_nothing_where_there_is_nothing(self) -> None:
        script, _ = one_after_the_other(problem(404, "transfer_not_found"))
        assert ask(script, lambda client: client.find_transfer("t1")) is None


class TestReading:
    def test_takes_a_status_it_has_never_heard_of(self) -> None:
        held = TRANSFER | {"status": "held"}
        reversed_ = TRANSFER | {"status": "reversed", "completed_at": "2026-11-22T10:00:00.000000Z"}
        script, _ = one_after_the_other(Reply(body=held), Reply(body=reversed_))

        async def read_twice(client: Client) -> list[tuple[bool, str]]:
            read = [await client.find_transfer("t1"), await client.find_transfer("t1")]
            return [(transfer.is_terminal, transfer.failure_code) for transfer in read if transfer]

        assert ask(script, read_twice) == [(False, "held"), (True, "reversed")]

    @pytest.mark.parametrize("length", [0, 40])
    def test_asks_for_many_wallets_in_addresses_that_are_not_too_long(self, length: int) -> None:
        names = [f"{number}-{'ü' * length}" for number in range(250)]
        asked: list[str] = []
        asked_for: list[int] = []

        def script(request: Seen) -> Reply:
            asked.append(request.path)
            asked_for.append(request.path.count("external_id="))
            found = parse_qs(urlsplit(request.path).query)["external_id"]
            return Reply(body={"data": [wallet(name) for name in found], "has_more": False, "next_cursor": None})

        found = ask(script, lambda client: client.wallets(names))
        assert [wallet.external_id for wallet in found] == names
        assert max(map(len, asked)) < 8_000
        assert max(asked_for) <= 100
        assert len(asked) < 50

    @pytest.mark.parametrize("length", [0, 50])
    def test_opens_many_wallets_in_bodies_that_are_not_too_long(self, length: int) -> None:
        wanted = [{"currency": "CZK", "external_id": f"{number}-{'x' * length}"} for number in range(2_500)]
        bodies: list[bytes] = []

        def script(request: Seen) -> Reply:
            bodies.append(request.body)
            items = [{"status": 201, "wallet": wallet(item["external_id"])} for item in json.loads(request.body)]
            return Reply(body={"data": items})

        opened = ask(script, lambda client: client.open_wallets(wanted))
        assert [item.wallet.external_id for item in opened if item.wallet] == [item["external_id"] for item in wanted]
        assert max(map(len, bodies)) <= 64_000
        assert max(len(json.loads(body)) for body in bodies) <= 1_000


def wallet(external_id: str) -> dict[str, object]:
    return {"id": f"w-{external_id}", "currency": "CZK", "balance": 0, "entry_count": 0, "external_id": external_id}
