"""Send the same request again and again: one transfer, one record of it, and no way to slip another under its key."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from tests.callers import Person, connected, ended, log_in, pay, problem_in, sent_with
from tests.eventually import eventually
from tests.running_system import System, broker_client

REPLAYED = "Idempotent-Replayed"
AT_ONCE = 50
TIMES_IN_A_ROW = 20

INTAKE_WAITS = "SELECT 1 FROM pg_locks WHERE relation = 'transfers'::regclass AND NOT granted"


@pytest.fixture
def key() -> str:
    return token_hex(8)


def is_record(answer: httpx2.Response, *, of: httpx2.Response) -> bool:
    """Say whether an answer is a replay of the first one: the same bytes, the same place, and marked as such."""
    assert answer.status_code == of.status_code == 202, answer.text
    assert REPLAYED not in of.headers
    assert answer.headers[REPLAYED] == "true"
    return (answer.content, answer.headers["location"]) == (of.content, of.headers["location"])


class TestSameRequest:
    def test_is_answered_with_the_same_bytes(self, payer: Person, payee: Person, key: str) -> None:
        fields = {"note": "tea", "metadata": {"b": "2", "a": "১"}}
        first = pay(payer.http, to=payee.wallet_id, amount=7, key=key, fields=fields)
        again = pay(payer.http, to=payee.wallet_id, amount=7, key=key, fields=fields)
        assert is_record(again, of=first)
        assert first.headers["idempotency-key"] == again.headers["idempotency-key"] == key
        assert first.json().items() >= {"status": "queued", "version": 1, "completed_at": None}.items()
        ended(payer.http, first.json()["id"])
        assert (payer.balance_minor, payee.balance_minor) == (499_993, 500_007)

    @pytest.mark.parametrize(("amount", "ending"), [(1, "succeeded"), (500_001, "failed")])
    def test_is_answered_with_the_same_bytes_after_the_transfer_has_ended(
        self, payer: Person, payee: Person, key: str, amount: int, ending: str
    ) -> None:
        first = pay(payer.http, to=payee.wallet_id, amount=amount, key=key)
        assert ended(payer.http, first.json()["id"])["status"] == ending
        assert is_record(pay(payer.http, to=payee.wallet_id, amount=amount, key=key), of=first)
        assert [transfer["status"] for transfer in sent_with(payer.http, key)] == [ending]

    def test_is_recognised_whatever_its_order_and_spacing(self, payer: Person, payee: Person, key: str) -> None:
        wanted = {"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}
        body = {**wanted, "metadata": {"a": "1", "b": "2"}}
        backwards = {**dict(reversed(body.items())), "metadata": {"b": "2", "a": "1"}}
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        first = payer.http.post("/v1/transfers", content=json.dumps(body), headers=headers)
        again = payer.http.post("/v1/transfers", content=json.dumps(backwards, indent=4), headers=headers)
        assert is_record(again, of=first)

    def test_is_recognised_under_a_newer_token(self, system: System, payer: Person, payee: Person, key: str) -> None:
        first = pay(payer.http, to=payee.wallet_id, amount=1, key=key)
        with connected(system, log_in(system, payer.email)) as http:
            assert is_record(pay(http, to=payee.wallet_id, amount=1, key=key), of=first)

    def test_is_answered_with_the_same_bytes_after_the_broker_was_emptied(
        self, system: System, payer: Person, payee: Person, key: str
    ) -> None:
        first = pay(payer.http, to=payee.wallet_id, amount=1, key=key)
        broker_client(system.broker_url).flushall()
        assert is_record(pay(payer.http, to=payee.wallet_id, amount=1, key=key), of=first)
        ended(payer.http, first.json()["id"])
        broker_client(system.broker_url).flushall()
        assert is_record(pay(payer.http, to=payee.wallet_id, amount=1, key=key), of=first)
        assert payer.balance_minor == 499_999

    def test_fifty_at_once_are_one_transfer_twenty_times_in_a_row(
        self, system: System, payer: Person, payee: Person
    ) -> None:
        with ExitStack() as open_ones, ThreadPoolExecutor(AT_ONCE) as threads:
            callers = [open_ones.enter_context(connected(system, payer.token)) for _ in range(AT_ONCE)]
            for times in range(1, TIMES_IN_A_ROW + 1):
                key = token_hex(8)
                send = partial(pay, to=payee.wallet_id, amount=1, key=key)
                answers = list(threads.map(send, callers))
                assert {answer.status_code for answer in answers} == {202}
                assert len({answer.content for answer in answers}) == 1
                assert sum(REPLAYED not in answer.headers for answer in answers) == 1
                ended(payer.http, answers[0].json()["id"])
                assert len(sent_with(payer.http, key)) == 1
                assert (payer.balance_minor, payee.balance_minor) == (500_000 - times, 500_000 + times)


class TestOtherRequest:
    @pytest.mark.parametrize(
        "other",
        [
            {"amount": 6},
            {"currency": "EUR"},
            {"reference": "else"},
            {"note": "new"},
            {"metadata": {"a": "2"}},
            {"metadata": {}},
            {"destination_wallet_id": "0198c0de-0000-7000-8000-000000000000"},
            {"source_wallet_id": "0198c0de-0000-7000-8000-000000000000"},
        ],
    )
    def test_is_refused_and_not_executed(self, payer: Person, payee: Person, key: str, other: dict[str, Any]) -> None:
        fields = {"reference": "rent", "metadata": {"a": "1"}}
        first = pay(payer.http, to=payee.wallet_id, amount=5, key=key, fields=fields)
        refused = pay(payer.http, to=payee.wallet_id, amount=5, key=key, fields={**fields, **other})
        problem_in(refused, status=422, code="idempotency_key_reused")
        assert REPLAYED not in refused.headers
        ended(payer.http, first.json()["id"])
        assert [transfer["id"] for transfer in sent_with(payer.http, key)] == [first.json()["id"]]
        assert payer.balance_minor == 499_995

    def test_is_another_owners_own(self, payer: Person, payee: Person, key: str) -> None:
        there = pay(payer.http, to=payee.wallet_id, amount=5, key=key)
        back = pay(payee.http, to=payer.wallet_id, amount=3, key=key)
        assert (there.status_code, back.status_code) == (202, 202)
        assert REPLAYED not in back.headers
        for person, answer in ((payer, there), (payee, back)):
            ended(person.http, answer.json()["id"])
            assert [transfer["id"] for transfer in sent_with(person.http, key)] == [answer.json()["id"]]
        assert payer.balance_minor == 499_998

    @pytest.mark.parametrize(
        "mistake",
        [
            {"amount": 0},
            {"currency": "QQQ"},
            {"destination_wallet_id": "0198c0de-0000-7000-8000-000000000000"},
            {"source_wallet_id": "0198c0de-0000-7000-8000-000000000000"},
        ],
    )
    def test_takes_the_key_of_a_request_that_was_refused(
        self, payer: Person, payee: Person, key: str, mistake: dict[str, Any]
    ) -> None:
        refused = pay(payer.http, to=payee.wallet_id, amount=5, key=key, fields=mistake)
        assert refused.status_code in {404, 422}, refused.text
        mended = pay(payer.http, to=payee.wallet_id, amount=5, key=key)
        assert (mended.status_code, REPLAYED in mended.headers) == (202, False), mended.text


class TestKey:
    def send(self, payer: Person, payee: Person, key: str | bytes | None) -> httpx2.Response:
        body = {"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}
        headers = {} if key is None else {b"Idempotency-Key": key if isinstance(key, bytes) else key.encode()}
        return payer.http.post("/v1/transfers", json=body, headers=headers)

    def test_is_the_same_with_quotes_and_without(self, payer: Person, payee: Person, key: str) -> None:
        first = self.send(payer, payee, key)
        again = self.send(payer, payee, f'"{key}"')
        assert is_record(again, of=first)
        assert again.headers["idempotency-key"] == key

    def test_may_have_255_visible_characters(self, payer: Person, payee: Person) -> None:
        key = token_hex(120) + "!#%&*+-./:<=>?@"
        assert len(key) == 255
        assert self.send(payer, payee, key).status_code == 202
        assert len(sent_with(payer.http, key)) == 1

    @pytest.mark.parametrize("key", [None, "", '""'])
    def test_has_to_be_there(self, payer: Person, payee: Person, key: str | None) -> None:
        problem_in(self.send(payer, payee, key), status=400, code="idempotency_key_missing")
        assert len(payer.http.get("/v1/transfers").json()["data"]) == 1

    @pytest.mark.parametrize("key", ["a b", '"a b"', "x" * 256, f'"{"x" * 256}"', "চাবি", b"\xff", "a\tb"])
    def test_has_to_be_visible_ascii_of_some_length(self, payer: Person, payee: Person, key: str | bytes) -> None:
        problem_in(self.send(payer, payee, key), status=400, code="idempotency_key_invalid")
        assert len(payer.http.get("/v1/transfers").json()["data"]) == 1


class TestDisconnecting:
    def test_right_after_sending_does_not_stop_acceptance(
        self, system: System, payer: Person, payee: Person, key: str
    ) -> None:
        body = {"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}
        address = urlsplit(system.url)
        with psycopg.connect(system.database_url, autocommit=True) as gatekeeper:
            with (
                gatekeeper.transaction(),
                closing(socket.create_connection((address.hostname, address.port))) as caller,
            ):
                # Held up at the door until the caller is gone: readers may pass, the intake may not.
                gatekeeper.execute("LOCK TABLE transfers IN SHARE MODE")
                caller.sendall(raw_request(payer, body=body, key=key))
                eventually(lambda: gatekeeper.execute(INTAKE_WAITS).fetchone())
                caller.shutdown(socket.SHUT_RDWR)
            (transfer,) = eventually(lambda: sent_with(payer.http, key))
        assert ended(payer.http, transfer["id"])["status"] == "succeeded"
        again = pay(payer.http, to=payee.wallet_id, amount=1, key=key)
        assert (again.json()["id"], again.headers[REPLAYED]) == (transfer["id"], "true")


def raw_request(person: Person, *, body: dict[str, Any], key: str) -> bytes:
    """Spell a request for a transfer as it goes over the wire."""
    content = json.dumps(body)
    lines = [
        "POST /v1/transfers HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {person.token}",
        f"Idempotency-Key: {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        "",
        content,
    ]
    return "\r\n".join(lines).encode()
