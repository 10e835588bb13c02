"""Follow a transfer over a stream of Server-Sent Events: how it stands, how it ends, and where to go on."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from tests.callers import Person, ended, pay, problem_in
from tests.journeys.queue_held import queue_held
from tests.running_system import System

STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of a stream."""

    event: str
    id: str | None
    data: dict[str, Any]


def sent(payer: Person, payee: Person, *, amount: int = 1) -> dict[str, Any]:
    answer = pay(payer.http, to=payee.wallet_id, amount=amount, key=token_hex(8), fields={"metadata": {"a": "1"}})
    assert answer.status_code == 202, answer.text
    return answer.json()


@contextmanager
def streaming(
    person: Person, transfer: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Generator[tuple[httpx2.Response, Iterator[Told]]]:
    with person.http.stream(
        "GET", transfer["links"]["events"], headers={"Accept": STREAM, **(headers or {})}
    ) as answer:
        yield answer, told(answer)


def told(answer: httpx2.Response) -> Iterator[Told]:
    """Read what is told, until the stream ends; comments tell nothing."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif line == "" and "data" in fields:
            yield Told(event=fields["event"], id=fields.get("id"), data=json.loads(fields["data"]))
            fields = {}


def events_of(person: Person, transfer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return person.http.get(transfer["links"]["events"]).json()["data"]


class TestStream:
    @pytest.mark.parametrize(("amount", "ending"), [(1, "succeeded"), (10**12, "failed")])
    def test_tells_how_the_transfer_stands_and_then_how_it_ends(
        self, system: System, payer: Person, payee: Person, amount: int, ending: str
    ) -> None:
        with ExitStack() as queue:
            queue.enter_context(queue_held(system))
            transfer = sent(payer, payee, amount=amount)
            with streaming(payer, transfer) as (answer, events):
                first = next(events)
                queue.close()
                last = next(events)
                assert list(events) == []
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, STREAM)
        assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Accept", "private, no-cache")
        assert first == Told(event="transfer.queued", id=None, data=transfer)
        assert last.event == f"transfer.{ending}"
        assert last.id == events_of(payer, transfer)[-1]["id"]
        assert last.data == payer.http.get(transfer["links"]["self"]).json()

    def test_of_an_ended_transfer_tells_that_and_ends(self, payer: Person, payee: Person) -> None:
        transfer = ended(payer.http, sent(payer, payee)["id"])
        with streaming(payer, transfer) as (_, events):
            (only,) = events
        assert only == Told(event="transfer.succeeded", id=events_of(payer, transfer)[-1]["id"], data=transfer)

    def test_does_not_go_on_after_the_ending(self, payer: Person, payee: Person) -> None:
        transfer = ended(payer.http, sent(payer, payee)["id"])
        last_event = {"Last-Event-ID": events_of(payer, transfer)[-1]["id"]}
        with streaming(payer, transfer, last_event) as (answer, _):
            assert (answer.status_code, answer.read()) == (204, b"")

    @pytest.mark.parametrize("last_event", ["", "evt_0198c0de000070008000000000000000", "nonsense"])
    def test_begins_anew_after_anything_else(self, payer: Person, payee: Person, last_event: str) -> None:
        transfer = ended(payer.http, sent(payer, payee)["id"])
        with streaming(payer, transfer, {"Last-Event-ID": last_event}) as (_, events):
            assert [event.event for event in events] == ["transfer.succeeded"]


class TestPayee:
    def test_is_told_nothing_before_the_transfer_has_succeeded(
        self, system: System, payer: Person, payee: Person
    ) -> None:
        with queue_held(system):
            hidden = payee.http.get(sent(payer, payee)["links"]["events"], headers={"Accept": STREAM})
        problem_in(hidden, status=404, code="transfer_not_found")

    def test_is_told_as_the_payee_sees_it(self, payer: Person, payee: Person) -> None:
        transfer = ended(payer.http, sent(payer, payee)["id"])
        with streaming(payee, transfer) as (_, events):
            (only,) = events
        assert only.data == transfer | {"metadata": None}


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/event-stream", f"{STREAM};q=0"])
def test_everybody_else_gets_the_list(payer: Person, payee: Person, accept: str) -> None:
    transfer = ended(payer.http, sent(payer, payee)["id"])
    answer = payer.http.get(transfer["links"]["events"], headers={"Accept": accept})
    assert [event["type"] for event in answer.json()["data"]] == ["transfer.queued", "transfer.succeeded"]
    assert (answer.headers["vary"], answer.headers["content-type"]) == ("Accept", "application/json")
