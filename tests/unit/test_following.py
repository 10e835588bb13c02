"""Hold waiting and streaming to this: through lost connections they go on to the end, and tell nothing twice."""

import json

import pytest

from hishab.answers import Event
from hishab.client import Client
from hishab.errors import NotFinalError, RefusedError, UnavailableError, UnexpectedAnswerError
from tests.unit.asking import ENDED, TRANSFER, ask, one_after_the_other, problem
from tests.unit.scripted_server import Reply

QUEUED = Reply(body=TRANSFER, headers={"ETag": '"1"', "Retry-After": "0"})
UNCHANGED = Reply(status=304, headers={"ETag": '"1"', "Retry-After": "0"})
DONE = Reply(body=ENDED, headers={"ETag": '"2"'})


class TestWait:
    def test_asks_only_for_news_until_it_has_ended(self) -> None:
        script, seen = one_after_the_other(QUEUED, UNCHANGED, DONE)
        transfer = ask(script, lambda client: client.wait("t1"))
        assert transfer.status == "succeeded"
        assert [request.headers.get("If-None-Match") for request in seen] == [None, '"1"', '"1"']
        assert [request.headers["Prefer"] for request in seen] == ["wait=25"] * 3

    @pytest.mark.parametrize("setback", [Reply(status=0), problem(503, "service_unavailable")])
    def test_goes_on_through_a_restart(self, setback: Reply) -> None:
        script, _ = one_after_the_other(QUEUED, setback, setback, DONE)
        assert ask(script, lambda client: client.wait("t1")).status == "succeeded"

    def test_ends_in_time(self) -> None:
        script, seen = one_after_the_other(QUEUED, UNCHANGED)
        with pytest.raises(NotFinalError, match="still queued"):
            ask(script, lambda client: client.wait("t1", seconds_max=2))
        assert 1 < len(seen) < 60

    def test_goes_on_through_a_status_it_has_never_heard_of(self) -> None:
        held = Reply(body=TRANSFER | {"status": "held", "version": 2}, headers={"ETag": '"2"'})
        gone = Reply(body=ENDED | {"status": "cancelled", "version": 3})
        script, _ = one_after_the_other(held, gone)
        assert ask(script, lambda client: client.wait("t1")).failure_code == "cancelled"

    def test_says_that_there_is_none(self) -> None:
        script, _ = one_after_the_other(problem(404, "transfer_not_found"))
        with pytest.raises(RefusedError):
            ask(script, lambda client: client.wait("t1"))


class TestWaitForBatch:
    @staticmethod
    def standing(queued: int) -> Reply:
        body = {"id": "b1", "total": 3, "counts": {"queued": queued, "succeeded": 3 - queued, "failed": 0}}
        ended = {} if queued else {"completed_at": "2026-11-22T10:00:00.000000Z"}
        return Reply(body=body | ended, headers={"ETag": f'"{4 - queued}"', "Retry-After": "0"})

    def test_is_held_back_until_all_have_ended_and_not_until_one_has(self) -> None:
        script, seen = one_after_the_other(self.standing(3), Reply(status=0), self.standing(1), self.standing(0))
        batch = ask(script, lambda client: client.wait_for_batch("b1"))
        assert (batch.total, batch.counts.succeeded, batch.is_terminal) == (3, 3, True)
        assert {request.path for request in seen} == {"/v1/transfer-batches/b1"}
        assert [request.headers["Prefer"] for request in seen] == ["wait=25"] * 4
        assert not any("If-None-Match" in request.headers for request in seen)

    def test_ends_in_time(self) -> None:
        script, _ = one_after_the_other(self.standing(2))
        with pytest.raises(NotFinalError, match="still has 2 queued"):
            ask(script, lambda client: client.wait_for_batch("b1", seconds_max=0.5))


def message(data: object, *, kind: str, event_id: str = "") -> str:
    lines = [f"event: {kind}", f"data: {json.dumps(data)}", *([f"id: {event_id}"] if event_id else [])]
    return "\n".join([*lines, "", ""])


def streaming(*parts: str, cut_short: bool = False) -> Reply:
    return Reply(body="".join(parts).encode(), headers={"Content-Type": "text/event-stream"}, cut_short=cut_short)


OPENING = message(TRANSFER, kind="transfer.queued")
ENDING = message(ENDED, kind="transfer.succeeded", event_id="evt_1")
PING = ": ping\n\n"


def streamed(*replies: Reply, patience_seconds: float = 5) -> tuple[list[Event], list[str | None]]:
    script, seen = one_after_the_other(*replies)

    async def read(client: Client) -> list[Event]:
        return [event async for event in client.stream("t1")]

    events = ask(script, read, patience_seconds=patience_seconds)
    assert {(request.path, request.headers["Accept"]) for request in seen} == {
        ("/v1/transfers/t1/events", "text/event-stream")
    }
    return events, [request.headers.get("Last-Event-ID") for request in seen]


class TestStream:
    def test_begins_with_how_it_stands_and_ends_with_its_end(self) -> None:
        events, _ = streamed(streaming(OPENING, PING, ENDING))
        assert [(event.id, event.type) for event in events] == [
            (None, "transfer.queued"),
            ("evt_1", "transfer.succeeded"),
        ]
        assert [event.transfer.status for event in events if event.transfer] == ["queued", "succeeded"]

    @pytest.mark.parametrize(
        "interruption",
        [streaming(OPENING, cut_short=True), streaming(OPENING), Reply(status=0), problem(503, "service_unavailable")],
        ids=["cut short", "closed", "cut off", "restarting"],
    )
    def test_goes_on_where_it_was_cut_off_and_tells_nothing_twice(self, interruption: Reply) -> None:
        events, _ = streamed(streaming(OPENING, cut_short=True), interruption, streaming(OPENING, ENDING))
        assert [event.type for event in events] == ["transfer.queued", "transfer.succeeded"]

    def test_resumes_behind_the_last_event_it_had(self) -> None:
        held = message(TRANSFER | {"status": "held", "version": 2}, kind="transfer.held", event_id="evt_0")
        last = message(ENDED | {"version": 3}, kind="transfer.succeeded", event_id="evt_1")
        events, resumed_from = streamed(streaming(OPENING, held, cut_short=True), streaming(last))
        assert [event.type for event in events] == ["transfer.queued", "transfer.held", "transfer.succeeded"]
        assert resumed_from == [None, "evt_0"]

    def test_ends_where_there_is_nothing_more_to_tell(self) -> None:
        events, _ = streamed(Reply(status=204))
        assert not events

    def test_passes_on_events_it_has_never_heard_of(self) -> None:
        strange = message({"mood": "fine"}, kind="transfer.annotated", event_id="evt_0")
        events, _ = streamed(streaming(OPENING, strange, ENDING))
        assert [(event.type, event.transfer is None) for event in events][1] == ("transfer.annotated", True)

    @pytest.mark.parametrize("body", [b"event: x\ndata: nonsense\n\n", b"event: x\ndata: [1]\n\n"])
    def test_does_not_take_anything_for_an_event(self, body: bytes) -> None:
        with pytest.raises(UnexpectedAnswerError):
            streamed(Reply(body=body, headers={"Content-Type": "text/event-stream"}))

    def test_does_not_take_anything_for_a_stream(self) -> None:
        with pytest.raises(UnexpectedAnswerError):
            streamed(Reply(body={"data": []}))

    @pytest.mark.parametrize("reply", [Reply(status=0), streaming(PING), streaming(PING, cut_short=True)])
    def test_gives_up_when_it_hears_nothing_any_more(self, reply: Reply) -> None:
        with pytest.raises(UnavailableError):
            streamed(reply, patience_seconds=0.3)

    def test_says_that_there_is_none(self) -> None:
        with pytest.raises(RefusedError) as caught:
            streamed(problem(404, "transfer_not_found"))
        assert caught.value.request_id == "r7"
