"""Ask how a transfer stands, and wait for an answer that is worth having: entity tags, and `Prefer: wait`."""

from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from secrets import token_hex
from time import monotonic
from typing import Any

import httpx2
import pytest

from tests.callers import Person, ended, pay, problem_in
from tests.journeys.queue_held import queue_held
from tests.running_system import System

LONG = 25
AT_ONCE_SECONDS = 15.0
"""Far below the wait that was asked for, and far above what a busy machine takes for an answer."""


@pytest.fixture
def threads() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def sent(payer: Person, payee: Person, *, amount: int = 1) -> str:
    answer = pay(payer.http, to=payee.wallet_id, amount=amount, key=token_hex(8), fields={"metadata": {"a": "1"}})
    assert answer.status_code == 202, answer.text
    return f"/v1/transfers/{answer.json()['id']}"


def polling(threads: ThreadPoolExecutor, person: Person, path: str, headers: Mapping[str, str]) -> Future[Any]:
    """Poll from another thread; returns when the poll is surely under way."""
    poll = threads.submit(person.http.get, path, headers=headers)
    person.http.get(path)
    return poll


class TestReading:
    def test_of_a_queued_transfer_says_when_to_come_back(self, system: System, payer: Person, payee: Person) -> None:
        with queue_held(system):
            answer = payer.http.get(sent(payer, payee))
        assert answer.json()["status"] == "queued"
        assert (answer.status_code, answer.headers["etag"], answer.headers["retry-after"]) == (200, '"1"', "1")
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "Prefer"
        assert "preference-applied" not in answer.headers

    @pytest.mark.parametrize(("amount", "status"), [(1, "succeeded"), (10**12, "failed")])
    def test_of_an_ended_one_does_not(self, payer: Person, payee: Person, amount: int, status: str) -> None:
        path = sent(payer, payee, amount=amount)
        ended(payer.http, path.rpartition("/")[2])
        answer = payer.http.get(path)
        assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (200, status, '"2"')
        assert "retry-after" not in answer.headers

    @pytest.mark.parametrize("known", ['"2"', 'W/"2"', '"1", W/"2"', "*"])
    def test_of_what_is_known_is_304_without_a_body(self, payer: Person, payee: Person, known: str) -> None:
        path = sent(payer, payee)
        ended(payer.http, path.rpartition("/")[2])
        answer = payer.http.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["vary"]) == ('"2"', "Prefer")
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "content-type" not in answer.headers

    @pytest.mark.parametrize("known", ['"1"', "2", '"22"'])
    def test_of_anything_else_is_200(self, payer: Person, payee: Person, known: str) -> None:
        path = sent(payer, payee)
        transfer = ended(payer.http, path.rpartition("/")[2])
        answer = payer.http.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.json()) == (200, transfer)

    def test_knows_no_transfer_of_others(self, system: System, payer: Person, payee: Person) -> None:
        with queue_held(system):
            hidden = payee.http.get(sent(payer, payee), headers={"If-None-Match": "*", "Prefer": f"wait={LONG}"})
        problem_in(hidden, status=404, code="transfer_not_found")


class TestWaiting:
    @pytest.mark.parametrize("known", [{}, {"If-None-Match": '"1"'}, {"If-None-Match": 'W/"1", "7"'}])
    def test_lasts_until_the_transfer_has_ended(
        self, system: System, payer: Person, payee: Person, threads: ThreadPoolExecutor, known: dict[str, str]
    ) -> None:
        with queue_held(system):
            path = sent(payer, payee)
            poll = polling(threads, payer, path, {**known, "Prefer": f"wait={LONG}"})
            assert not poll.done()
        answer = poll.result()
        assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (200, "succeeded", '"2"')
        assert (answer.headers["preference-applied"], answer.headers["vary"]) == (f"wait={LONG}", "Prefer")
        assert "retry-after" not in answer.headers
        assert answer.json() == payer.http.get(path).json()

    def test_is_told_of_a_failure_too(
        self, system: System, payer: Person, payee: Person, threads: ThreadPoolExecutor
    ) -> None:
        with queue_held(system):
            path = sent(payer, payee, amount=10**12)
            poll = polling(threads, payer, path, {"Prefer": f"wait={LONG}"})
        answer = poll.result()
        assert (answer.status_code, answer.json()["failure"]["code"]) == (200, "insufficient_funds")
        assert answer.json() == payer.http.get(path).json()

    @pytest.mark.parametrize(("known", "status_code"), [({}, 200), ({"If-None-Match": '"1"'}, 304)])
    def test_lasts_no_longer_than_was_asked_for(
        self, system: System, payer: Person, payee: Person, known: dict[str, str], status_code: int
    ) -> None:
        with queue_held(system):
            path = sent(payer, payee)
            began_seconds = monotonic()
            answer = payer.http.get(path, headers={**known, "Prefer": "wait=1"})
        assert monotonic() - began_seconds >= 1
        assert (answer.status_code, answer.headers["etag"]) == (status_code, '"1"')
        assert (answer.headers["preference-applied"], answer.headers["vary"]) == ("wait=1", "Prefer")
        assert answer.headers["retry-after"] == "1"
        assert bool(answer.content) == (status_code == 200)

    def test_is_over_at_once_for_whoever_knows_another_version(
        self, system: System, payer: Person, payee: Person
    ) -> None:
        with queue_held(system):
            path = sent(payer, payee)
            began_seconds = monotonic()
            answer = payer.http.get(path, headers={"If-None-Match": '"0"', "Prefer": f"wait={LONG}"})
        assert monotonic() - began_seconds < AT_ONCE_SECONDS
        assert (answer.status_code, answer.json()["status"]) == (200, "queued")

    @pytest.mark.parametrize(("known", "status_code"), [({}, 200), ({"If-None-Match": '"2"'}, 304)])
    def test_is_over_at_once_where_nothing_can_change(
        self, payer: Person, payee: Person, known: dict[str, str], status_code: int
    ) -> None:
        path = sent(payer, payee)
        ended(payer.http, path.rpartition("/")[2])
        began_seconds = monotonic()
        answer = payer.http.get(path, headers={**known, "Prefer": "wait=3600"})
        assert monotonic() - began_seconds < AT_ONCE_SECONDS
        assert (answer.status_code, answer.headers["preference-applied"]) == (status_code, "wait=25")

    @pytest.mark.parametrize("prefer", ["wait", "wait=-1", "wait=soon", "respond-async", '"', "wait=1.5"])
    def test_is_not_done_for_what_is_not_understood(
        self, system: System, payer: Person, payee: Person, prefer: str
    ) -> None:
        with queue_held(system):
            answer = payer.http.get(sent(payer, payee), headers={"Prefer": prefer})
        assert (answer.status_code, answer.json()["status"]) == (200, "queued")
        assert "preference-applied" not in answer.headers


class TestSending:
    def send(self, payer: Person, payee: Person, *, key: str, prefer: str, amount: int = 1) -> httpx2.Response:
        body = {"destination_wallet_id": payee.wallet_id, "amount": amount, "currency": "BDT"}
        return payer.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key, "Prefer": prefer})

    @pytest.mark.parametrize(("amount", "status"), [(1, "succeeded"), (10**12, "failed")])
    def test_is_answered_with_how_it_ended(self, payer: Person, payee: Person, amount: int, status: str) -> None:
        key = token_hex(8)
        answer = self.send(payer, payee, key=key, prefer=f"wait={LONG}", amount=amount)
        assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert (answer.headers["preference-applied"], answer.headers["vary"]) == (f"wait={LONG}", "Prefer")
        assert answer.headers["idempotency-key"] == key
        assert "retry-after" not in answer.headers
        assert answer.json() == payer.http.get(answer.headers["location"]).json()

    def test_is_202_while_it_is_queued(self, system: System, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        with queue_held(system):
            answer = self.send(payer, payee, key=key, prefer="wait=1")
            again = self.send(payer, payee, key=key, prefer="wait=1")
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert (answer.headers["preference-applied"], answer.headers["vary"]) == ("wait=1", "Prefer")
        assert answer.headers["retry-after"] == "1"
        assert again.content == answer.content

    def test_again_is_answered_with_the_record_of_the_acceptance(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        first = self.send(payer, payee, key=key, prefer=f"wait={LONG}")
        again = [self.send(payer, payee, key=key, prefer=prefer) for prefer in (f"wait={LONG}", "")]
        assert first.status_code == 200
        assert [answer.status_code for answer in again] == [202, 202]
        assert all(answer.headers["idempotent-replayed"] == "true" for answer in again)
        assert all("preference-applied" not in answer.headers for answer in again)
        assert again[0].content == again[1].content
        accepted = first.json() | {"status": "queued", "version": 1, "completed_at": None}
        assert again[0].json() == accepted | {"updated_at": accepted["created_at"]}

    def test_what_is_refused_is_refused_as_ever(self, payer: Person) -> None:
        refused = self.send(payer, payer, key=token_hex(8), prefer=f"wait={LONG}")
        problem_in(refused, status=422, code="same_wallet")


@pytest.mark.parametrize(
    ("path", "method", "headers", "answers"),
    [
        ("/v1/transfers", "post", {"prefer"}, {"200": {"Preference-Applied", "Vary"}, "202": {"Retry-After"}}),
        (
            "/v1/transfers/{transfer_id}",
            "get",
            {"prefer", "if-none-match"},
            {"200": {"ETag", "Preference-Applied", "Vary"}, "304": {"ETag", "Retry-After", "Cache-Control"}},
        ),
        ("/v1/transfers/{transfer_id}/events", "get", {"last-event-id"}, {"200": {"Vary"}, "204": set[str]()}),
    ],
)
def test_is_described(payer: Person, path: str, method: str, headers: set[str], answers: dict[str, set[str]]) -> None:
    operation = payer.http.get("/openapi.json").json()["paths"][path][method]
    assert {parameter["name"] for parameter in operation["parameters"]} >= headers
    for status, names in answers.items():
        assert operation["responses"][status].get("headers", {}).keys() >= names
    if path.endswith("/events"):
        assert operation["responses"]["200"]["content"].keys() == {"application/json", "text/event-stream"}
