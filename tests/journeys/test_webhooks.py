"""Register an endpoint, move money, and be told of it, signed: the payer of both ends, the payee of success."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from tests.callers import Person, answered, ended, pay, problem_in
from tests.eventually import eventually
from tests.receiver import Receiver, Reply, receiving
from tests.running_system import System

ENDPOINTS = "/v1/webhook-endpoints"
SHOWN = {"id", "url", "event_types", "description", "enabled", "disabled_reason", "disabled_at", "created_at"}


def listen(person: Person, url: str, **fields: object) -> dict[str, Any]:
    """Register an endpoint."""
    answer = person.http.post(ENDPOINTS, json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(receiver: Receiver, secret: str, *, count: int) -> list[dict[str, Any]]:
    """Wait until so many events have come, and give them, verified, in order of arrival."""
    eventually(lambda: len(receiver.received) >= count, otherwise=lambda: f"{len(receiver.received)} came")
    return [request.verified(secret) for request in receiver.received]


class TestTransfer:
    def test_that_succeeds_is_told_to_both_sides(self, payer: Person, payee: Person) -> None:
        with receiving() as at_payer, receiving() as at_payee:
            payers, payees = listen(payer, at_payer.url), listen(payee, at_payee.url)
            fields = {"reference": "rent", "note": "মে", "metadata": {"order": "7"}}
            accepted = pay(payer.http, to=payee.wallet_id, amount=700, key=token_hex(8), fields=fields).json()
            (to_payer,) = told(at_payer, payers["secret"], count=1)
            (to_payee,) = told(at_payee, payees["secret"], count=1)
        transfer = payer.http.get(accepted["links"]["self"]).json()
        assert to_payer["type"] == to_payee["type"] == "transfer.succeeded"
        assert to_payer["data"] == {**transfer, "previous_status": "queued"}
        assert to_payee == {**to_payer, "data": {**to_payer["data"], "metadata": None}}
        assert to_payer["id"] == at_payer.ids()[0] == at_payee.ids()[0]

    def test_that_fails_is_told_to_the_payer_alone(self, payer: Person, payee: Person) -> None:
        with receiving() as at_payer, receiving() as at_payee:
            payers, payees = listen(payer, at_payer.url), listen(payee, at_payee.url)
            pay(payer.http, to=payee.wallet_id, amount=500_001, key=token_hex(8))
            (failed,) = told(at_payer, payers["secret"], count=1)
            # One that follows shows that nothing came before it.
            pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
            (succeeded,) = told(at_payee, payees["secret"], count=1)
        assert (failed["type"], failed["data"]["failure"]["code"]) == ("transfer.failed", "insufficient_funds")
        assert succeeded["type"] == "transfer.succeeded"

    def test_is_told_of_as_was_asked(self, payer: Person, payee: Person) -> None:
        with receiving() as receiver:
            endpoint = listen(payer, receiver.url, event_types=["transfer.failed"])
            pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
            pay(payer.http, to=payee.wallet_id, amount=500_001, key=token_hex(8))
            (event,) = told(receiver, endpoint["secret"], count=1)
        assert event["type"] == "transfer.failed"

    def test_is_told_again_to_a_receiver_that_refused_it(self, payer: Person, payee: Person) -> None:
        replies = iter([Reply(status=500)])
        with receiving(lambda _: next(replies, Reply())) as receiver:
            endpoint = listen(payer, receiver.url)
            pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
            first, second = told(receiver, endpoint["secret"], count=2)
            delivery = eventually(lambda: self._delivered(payer, endpoint["id"]))
        assert first == second
        assert len(set(receiver.ids())) == 1
        assert [attempt["http_status"] for attempt in delivery["attempts"]] == [500, 200]
        assert delivery["event_id"] == first["id"]

    @staticmethod
    def _delivered(person: Person, endpoint_id: str) -> dict[str, Any]:
        (delivery,) = person.http.get(f"{ENDPOINTS}/{endpoint_id}/deliveries").json()["data"]
        if delivery["status"] != "delivered":
            return {}
        return person.http.get(f"{ENDPOINTS}/{endpoint_id}/deliveries/{delivery['id']}").json()

    def test_is_not_told_to_an_endpoint_that_was_deleted(self, payer: Person, payee: Person) -> None:
        with receiving() as receiver, receiving() as other:
            endpoint, kept = listen(payer, receiver.url), listen(payer, other.url)
            assert payer.http.delete(f"{ENDPOINTS}/{endpoint['id']}").status_code == 204
            pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
            told(other, kept["secret"], count=1)
            assert not receiver.received


class TestEndpoint:
    def test_is_shown_without_its_secret(self, payer: Person, payee: Person) -> None:
        made = listen(payer, "http://127.0.0.1:8099/hooks", description="books", event_types=["transfer.succeeded"])
        assert made.keys() == SHOWN | {"secret"}
        assert made.pop("secret").startswith("whsec_")
        assert payer.http.get(f"{ENDPOINTS}/{made['id']}").json() == made
        assert payer.http.get(ENDPOINTS).json()["data"] == [made]
        problem_in(payee.http.get(f"{ENDPOINTS}/{made['id']}"), status=404, code="endpoint_not_found")
        problem_in(payee.http.delete(f"{ENDPOINTS}/{made['id']}"), status=404, code="endpoint_not_found")
        problem_in(payee.http.get(f"{ENDPOINTS}/{made['id']}/deliveries"), status=404, code="endpoint_not_found")

    def test_is_gone_once_it_was_deleted(self, payer: Person) -> None:
        made = listen(payer, "http://127.0.0.1:8099/hooks")
        assert payer.http.delete(f"{ENDPOINTS}/{made['id']}").status_code == 204
        problem_in(payer.http.get(f"{ENDPOINTS}/{made['id']}"), status=404, code="endpoint_not_found")
        problem_in(payer.http.delete(f"{ENDPOINTS}/{made['id']}"), status=404, code="endpoint_not_found")
        assert payer.http.get(ENDPOINTS).json()["data"] == []

    def test_there_are_ten_of_them_at_most_however_many_ask_at_once(self, payer: Person) -> None:
        with ThreadPoolExecutor(20) as asking:
            answers = list(asking.map(self._register, [payer] * 20, range(20)))
        assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 10
        refused = next(answer for answer in answers if answer.status_code == 409)
        problem_in(refused, status=409, code="endpoint_limit_reached")
        made = payer.http.get(ENDPOINTS, params={"limit": 3}).json()
        assert (len(made["data"]), made["has_more"]) == (3, True)
        payer.http.delete(f"{ENDPOINTS}/{made['data'][0]['id']}")
        assert self._register(payer, 21).status_code == 201

    @staticmethod
    def _register(person: Person, number: int) -> httpx2.Response:
        return answered(lambda: person.http.post(ENDPOINTS, json={"url": f"http://127.0.0.1:8099/{number}"}))

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"url": "ftp://example.com/"}, "/url"),
            ({"url": "https://user:hunter2@example.com/"}, "/url"),
            ({"url": "https://example.com:22/"}, "/url"),
            ({"url": "https://example.com/#part"}, "/url"),
            ({"url": "https://example.com/" + "x" * 2_048}, "/url"),
            ({"url": "https://example.com/\x00"}, "/url"),
            ({"url": 7}, "/url"),
            ({}, "/url"),
            ({"url": "https://example.com/", "event_types": ["transfer.queued"]}, "/event_types/0"),
            ({"url": "https://example.com/", "event_types": []}, "/event_types"),
            ({"url": "https://example.com/", "description": "x" * 201}, "/description"),
            ({"url": "https://example.com/", "enabled": True}, "/enabled"),
        ],
    )
    def test_is_refused_with_the_field_that_is_wrong(
        self, payer: Person, fields: dict[str, object], pointer: str
    ) -> None:
        problem = problem_in(payer.http.post(ENDPOINTS, json=fields), status=422, code="validation_failed")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert "hunter2" not in str(problem)


def test_webhooks_go_out_although_the_worker_was_killed(system: System, payer: Person, payee: Person) -> None:
    with receiving() as receiver:
        endpoint = listen(payer, receiver.url)
        killed = system.kill("webhooks")
        for _ in range(20):
            pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
        system.await_restart("webhooks", of=killed)
        # One that is sent twice counts once.
        eventually(lambda: len(set(receiver.ids())) == 20, otherwise=lambda: f"{len(set(receiver.ids()))} came")
        events = told(receiver, endpoint["secret"], count=20)
    assert len({event["data"]["id"] for event in events}) == 20
    assert ended(payer.http, events[0]["data"]["id"])["status"] == "succeeded"
