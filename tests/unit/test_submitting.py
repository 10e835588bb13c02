"""Hold the client to its keys: one stays with a payment, and errors tell it, and what may have happened."""

import asyncio
import json

import pytest

from hishab.client import Client
from hishab.errors import (
    DeniedError,
    HishabError,
    NotFinalError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from hishab.new_transfer import NewTransfer
from tests.unit.asking import ACCEPTED, ENDED, NEW, TRANSFER, ask, one_after_the_other, problem
from tests.unit.scripted_server import Reply


class TestKey:
    def test_is_made_once_and_kept_over_repetitions(self) -> None:
        script, seen = one_after_the_other(Reply(status=0), problem(503, "outcome_unknown"), ACCEPTED)
        acceptance = ask(script, lambda client: client.submit(NEW))
        assert {request.headers["Idempotency-Key"] for request in seen} == {acceptance.idempotency_key}
        assert len(seen) == 3

    def test_is_another_for_the_next_transfer(self) -> None:
        script, _ = one_after_the_other(ACCEPTED)

        async def submit_two(client: Client) -> set[str]:
            return {(await client.submit(NEW)).idempotency_key, (await client.submit(NEW)).idempotency_key}

        assert len(ask(script, submit_two)) == 2

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (problem(422, "same_wallet"), RefusedError),
            (problem(403, "insufficient_scope"), DeniedError),
            (problem(503, "outcome_unknown"), UnavailableError),
            (Reply(status=202, body={}), UnexpectedAnswerError),
        ],
    )
    def test_is_told_by_every_error(self, reply: Reply, kind: type[HishabError]) -> None:
        script, seen = one_after_the_other(reply)
        with pytest.raises(kind) as caught:
            ask(script, lambda client: client.submit(NEW), patience_seconds=0.1)
        assert caught.value.idempotency_key == seen[0].headers["Idempotency-Key"]

    @pytest.mark.parametrize("key", ["চাবি", "a b", ""])
    def test_that_is_no_good_is_for_the_server_to_refuse(self, key: str) -> None:
        script, seen = one_after_the_other(problem(400, "idempotency_key_invalid"))
        with pytest.raises(RefusedError):
            ask(script, lambda client: client.submit(NEW, idempotency_key=key))
        assert len(seen) == 1


class TestOutcomeUnknown:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(status=0),
            problem(503, "outcome_unknown"),
            problem(409, "idempotency_key_in_use"),
            problem(500, "internal"),
            Reply(status=502, body=b"<html>"),
            Reply(status=503, body=b"<html>"),
            Reply(status=202, body=b"<html>"),
        ],
        ids=["cut off", "outcome unknown", "key in use", "defect", "proxy 502", "proxy 503", "not in the contract"],
    )
    def test_is_said_where_it_may_have_been_accepted(self, reply: Reply) -> None:
        script, _ = one_after_the_other(reply)
        with pytest.raises(HishabError) as caught:
            ask(script, lambda client: client.submit(NEW), patience_seconds=0.1)
        assert caught.value.outcome_unknown

    @pytest.mark.parametrize(
        "reply", [problem(422, "same_wallet"), problem(503, "queue_unavailable"), problem(429, "quota_exceeded")]
    )
    def test_is_not_said_where_it_was_not(self, reply: Reply) -> None:
        script, _ = one_after_the_other(reply)
        with pytest.raises(HishabError) as caught:
            ask(script, lambda client: client.submit(NEW), patience_seconds=0.1)
        assert not caught.value.outcome_unknown

    def test_is_remembered_from_an_earlier_attempt(self) -> None:
        script, _ = one_after_the_other(Reply(status=0), problem(401, "not_authenticated"))
        with pytest.raises(DeniedError) as caught:
            ask(script, lambda client: client.submit(NEW))
        assert caught.value.outcome_unknown

    def test_is_not_said_where_nobody_answers_at_all(self) -> None:
        async def submit() -> None:
            async with Client("http://127.0.0.1:9", api_key="sk_test", first_answer_seconds=0.1) as client:
                await client.submit(NEW)

        with pytest.raises(UnavailableError) as caught:
            asyncio.run(submit())
        assert not caught.value.outcome_unknown

    def test_is_never_said_of_a_question(self) -> None:
        script, _ = one_after_the_other(Reply(status=0))
        with pytest.raises(UnavailableError) as caught:
            ask(script, lambda client: client.find_transfer("t1"), patience_seconds=0.1)
        assert not caught.value.outcome_unknown


class TestBody:
    def test_has_the_fields_that_were_given_and_no_other(self) -> None:
        script, seen = one_after_the_other(ACCEPTED)
        new = NewTransfer(
            amount_minor=5, currency="BDT", destination_email="a@b.c", note="", metadata={"order": "7"}, reference="r"
        )
        ask(script, lambda client: client.submit(new))
        assert json.loads(seen[0].body) == {
            "destination_email": "a@b.c",
            "amount": 5,
            "currency": "BDT",
            "reference": "r",
            "note": "",
            "metadata": {"order": "7"},
        }


class TestErrors:
    def test_point_at_what_is_wrong(self) -> None:
        parts = [{"pointer": "/amount", "code": "too_large", "detail": "too much", "hint": "new"}]
        body = {"code": "validation_failed", "detail": "Not so.", "errors": parts}
        script, _ = one_after_the_other(Reply(status=422, body=body, headers={"X-Request-ID": "r9"}))
        with pytest.raises(RefusedError) as caught:
            ask(script, lambda client: client.submit(NEW))
        (part,) = caught.value.errors
        assert (part.pointer, part.code, part.detail) == ("/amount", "too_large", "too much")
        assert caught.value.request_id == "r9"


class TestSubmitAndWait:
    def test_returns_the_ending_that_the_acceptance_brought(self) -> None:
        script, seen = one_after_the_other(Reply(status=200, body=ENDED))
        transfer = ask(script, lambda client: client.submit_and_wait(NEW, seconds_max=60))
        assert (transfer.status, len(seen), seen[0].headers["Prefer"]) == ("succeeded", 1, "wait=25")

    def test_waits_on_where_it_did_not(self) -> None:
        script, seen = one_after_the_other(ACCEPTED, Reply(body=TRANSFER), Reply(body=ENDED))
        transfer = ask(script, lambda client: client.submit_and_wait(NEW, idempotency_key="k"))
        assert transfer.status == "succeeded"
        assert [request.path for request in seen] == ["/v1/transfers", *["/v1/transfers/t1"] * 2]

    def test_says_what_to_go_on_with_where_it_did_not_end_in_time(self) -> None:
        script, _ = one_after_the_other(ACCEPTED, Reply(body=TRANSFER))
        with pytest.raises(NotFinalError) as caught:
            ask(script, lambda client: client.submit_and_wait(NEW, idempotency_key="k", seconds_max=0.1))
        assert (caught.value.idempotency_key, caught.value.outcome_unknown) == ("k", True)


class TestSubmitBatch:
    def test_sends_them_together_under_one_key(self) -> None:
        body = {"id": "b1", "transfer_ids": ["t1", "t2"], "total": 2, "created_at": "2026-11-22T10:00:00.000000Z"}
        script, seen = one_after_the_other(
            Reply(status=0), Reply(status=202, body=body, headers={"Idempotent-Replayed": "true"})
        )
        acceptance = ask(script, lambda client: client.submit_batch([NEW, NEW], idempotency_key="k"))
        assert (acceptance.batch.transfer_ids, acceptance.replayed) == (["t1", "t2"], True)
        assert [(request.path, request.headers["Idempotency-Key"]) for request in seen] == [
            ("/v1/transfer-batches", "k")
        ] * 2
        assert json.loads(seen[0].body) == {"transfers": [NEW.body(), NEW.body()]}
