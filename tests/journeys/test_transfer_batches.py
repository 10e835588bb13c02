"""Send transfers by the batch: one key, one answer with the ids in order, every transfer that is not valid named."""

import json
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any, Final

import httpx2
import pytest

from tests.callers import Person, audited, operators_wallet, pay, problem_in
from tests.eventually import eventually
from tests.journeys.queue_held import queue_held
from tests.running_system import System

END_SECONDS_MAX: Final = 60.0
UNKNOWN_ID: Final = "0198c0de-0000-7000-8000-000000000000"

# What stands in the JSON in the place of an amount that is one.
AMOUNTS: Final = ("true", '"100"', "100.0", "1e2", "0", "-1", "1000000000001", "null")


def send(http: httpx2.Client, transfers: list[dict[str, Any]], *, key: str, wait: int = 0) -> httpx2.Response:
    headers = {"Idempotency-Key": key, **({"Prefer": f"wait={wait}"} if wait else {})}
    return http.post("/v1/transfer-batches", json={"transfers": transfers}, headers=headers)


def send_raw(http: httpx2.Client, body: str) -> httpx2.Response:
    headers = {"Idempotency-Key": token_hex(8), "Content-Type": "application/json"}
    return http.post("/v1/transfer-batches", content=body.encode(), headers=headers)


def taka(to: str, amount: int, **fields: object) -> dict[str, Any]:
    return {"destination_wallet_id": to, "amount": amount, "currency": "BDT", **fields}


def completed(http: httpx2.Client, batch_id: str) -> dict[str, Any]:
    """Wait until all transfers of a batch have ended, and give it."""

    def look() -> dict[str, Any] | None:
        batch: dict[str, Any] = http.get(f"/v1/transfer-batches/{batch_id}").json()
        return None if batch["counts"]["queued"] else batch

    batch = eventually(look, seconds_max=END_SECONDS_MAX, otherwise=lambda: f"batch {batch_id} is not completed")
    assert batch is not None
    return batch


def pages(http: httpx2.Client, batch_id: str, *, limit: int) -> list[dict[str, Any]]:
    """Page through a batch's transfers."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = http.get(f"/v1/transfer-batches/{batch_id}/transfers", params={"limit": limit, **cursor}).json()
        assert len(page["data"]) <= limit
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_a_thousand_are_accepted_together_and_each_ends_by_itself(operator: httpx2.Client) -> None:
    source, destination = operators_wallet(operator, holding=100_000), operators_wallet(operator)
    fields = {"source_wallet_id": source, "destination_wallet_id": destination, "currency": "CZK"}
    # Ten of them are more than the wallet will ever hold.
    amounts = [10**9 if n % 100 == 99 else n + 1 for n in range(1_000)]
    asked = [{**fields, "amount": amount, "reference": f"item {n}"} for n, amount in enumerate(amounts)]
    affordable = 0
    expected: list[str] = []
    for amount in amounts:
        expected.append("succeeded" if affordable + amount <= 100_000 else "failed")
        affordable += amount if expected[-1] == "succeeded" else 0

    answer = send(operator, asked, key=token_hex(8))
    assert answer.status_code == 202, answer.text
    batch: dict[str, Any] = answer.json()
    assert batch.keys() == {"id", "transfer_ids", "total", "created_at"}
    assert batch["total"] == len(set(batch["transfer_ids"])) == 1_000
    assert answer.headers["Location"] == f"/v1/transfer-batches/{batch['id']}"
    assert answer.headers["Retry-After"] == "1"

    standing = completed(operator, batch["id"])
    counts = {"queued": 0, "succeeded": expected.count("succeeded"), "failed": expected.count("failed")}
    assert (standing["total"], standing["counts"]) == (1_000, counts)
    assert standing["created_at"] == batch["created_at"] <= standing["completed_at"]
    transfers = pages(operator, batch["id"], limit=99)
    assert [transfer["id"] for transfer in transfers] == batch["transfer_ids"]
    assert [transfer["reference"] for transfer in transfers] == [f"item {n}" for n in range(1_000)]
    assert [transfer["status"] for transfer in transfers] == expected
    assert operator.get(f"/v1/wallets/{source}").json()["balance"] == 100_000 - affordable
    assert audited(operator)["violations"] == []


class TestIdempotency:
    def test_the_same_request_is_answered_byte_for_byte(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        asked = [taka(payee.wallet_id, amount) for amount in (3, 1, 2)]
        first = send(payer.http, asked, key=key)
        completed(payer.http, first.json()["id"])
        # In another order of fields, which says the same.
        again = send(payer.http, [dict(reversed(transfer.items())) for transfer in asked], key=key)
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.content == first.content
        assert again.headers["Location"] == first.headers["Location"]
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        assert payer.balance_minor == 500_000 - 6

    def test_another_request_under_the_key_is_refused(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        asked = [taka(payee.wallet_id, 1), taka(payee.wallet_id, 2)]
        assert send(payer.http, asked, key=key).status_code == 202
        for other in (asked[::-1], asked[:1], [*asked, asked[0]]):
            problem_in(send(payer.http, other, key=key), status=422, code="idempotency_key_reused")

    def test_a_key_of_a_transfer_is_another_one(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        assert pay(payer.http, to=payee.wallet_id, amount=1, key=key).status_code == 202
        answer = send(payer.http, [taka(payee.wallet_id, 1)], key=key)
        assert answer.status_code == 202
        assert "Idempotent-Replayed" not in answer.headers

    def test_a_key_is_required(self, payer: Person, payee: Person) -> None:
        answer = payer.http.post("/v1/transfer-batches", json={"transfers": [taka(payee.wallet_id, 1)]})
        problem_in(answer, status=400, code="idempotency_key_missing")


class TestInvalid:
    def test_each_that_refers_to_what_is_not_there_is_named(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        good = taka(payee.wallet_id, 1)
        wrong = [
            taka(payee.wallet_id, 1, source_wallet_id=payee.wallet_id),
            taka(UNKNOWN_ID, 1),
            {"destination_email": "nobody@example.org", "amount": 1, "currency": "BDT"},
            taka(payer.wallet_id, 1),
            taka(payee.wallet_id, 1, source_wallet_id=payer.wallet_id, currency="EUR"),
        ]
        answer = send(payer.http, [good, *wrong, good], key=key)
        errors = problem_in(answer, status=422, code="batch_invalid")["errors"]
        assert [(error["pointer"], error["code"]) for error in errors] == [
            ("/transfers/1", "wallet_not_found"),
            ("/transfers/2", "destination_unknown"),
            ("/transfers/3", "destination_unknown"),
            ("/transfers/4", "same_wallet"),
            ("/transfers/5", "currency_mismatch"),
        ]
        assert payer.balance_minor == 500_000
        mended = send(payer.http, [good], key=key)
        assert mended.status_code == 202
        assert "Idempotent-Replayed" not in mended.headers

    def test_each_that_has_not_the_form_is_named(self, payer: Person, payee: Person) -> None:
        good = json.dumps(taka(payee.wallet_id, 1))
        wrong = [good.replace('"amount": 1', f'"amount": {amount}') for amount in AMOUNTS]
        others = [
            (good[:-1] + ', "note": "\\u0000"}', "/note"),
            (good[:-1] + ', "note": "\\ud83d"}', "/note"),
            (good[:-1] + ', "fee": 1}', "/fee"),
            (good[:-1] + ', "metadata": {"a": 1}}', "/metadata/a"),
            ("7", ""),
        ]
        items = [good, *wrong, *(text for text, _ in others)]
        answer = send_raw(payer.http, f'{{"transfers": [{", ".join(items)}]}}')
        errors = problem_in(answer, status=422, code="validation_failed")["errors"]
        pointers = [f"/transfers/{n}/amount" for n in range(1, len(wrong) + 1)]
        pointers += [f"/transfers/{n}{pointer}" for n, (_, pointer) in enumerate(others, start=len(wrong) + 1)]
        assert [error["pointer"] for error in errors] == pointers
        assert payer.balance_minor == 500_000

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ('{"transfers": []}', 422, "validation_failed"),
            ("{}", 422, "validation_failed"),
            ("[]", 422, "validation_failed"),
            ('{"transfers": [], "transfers": []}', 400, "malformed_request"),
            ('{"transfers": [{"amount": 1, "amount": 2}]}', 400, "malformed_request"),
            ('{"transfers": [{"amount": NaN}]}', 400, "malformed_request"),
            ('{"transfers": [{"amount": 1e400}]}', 400, "malformed_request"),
            ('{"transfers": [' + " " * 1_100_000 + "]}", 413, "body_too_large"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_what_is_no_batch_is_refused(self, payer: Person, body: str, status: int, code: str) -> None:
        problem_in(send_raw(payer.http, body), status=status, code=code)

    def test_more_than_a_thousand_are_too_many(self, payer: Person, payee: Person) -> None:
        answer = send(payer.http, [taka(payee.wallet_id, 1)] * 1_001, key=token_hex(8))
        (error,) = problem_in(answer, status=422, code="validation_failed")["errors"]
        assert error["pointer"] == "/transfers"

    def test_wrong_fields_without_number_do_not_make_an_answer_without_end(self, payer: Person) -> None:
        item = json.dumps({f"f{n}": 1 for n in range(90)})
        answer = send_raw(payer.http, '{"transfers": [' + ", ".join([item] * 1_000) + "]}")
        errors = problem_in(answer, status=422, code="validation_failed")["errors"]
        assert {error["pointer"].split("/")[2] for error in errors} == {str(n) for n in range(1_000)}
        assert len(answer.content) < 2_000_000


class TestOwner:
    def test_sees_it_alone(self, payer: Person, payee: Person) -> None:
        batch_id = send(payer.http, [taka(payee.wallet_id, 1)], key=token_hex(8)).json()["id"]
        for address in ("/v1/transfer-batches/{}", "/v1/transfer-batches/{}/transfers"):
            theirs = problem_in(payee.http.get(address.format(batch_id)), status=404, code="batch_not_found")
            made_up = problem_in(payee.http.get(address.format(UNKNOWN_ID)), status=404, code="batch_not_found")
            for problem in (theirs, made_up):
                del problem["instance"], problem["request_id"]
            assert theirs == made_up


class TestWaiting:
    def test_a_new_batch_is_answered_when_all_of_it_has_ended(self, payer: Person, payee: Person) -> None:
        key = token_hex(8)
        asked = [taka(payee.wallet_id, amount) for amount in (1, 10**9, 2)]
        answer = send(payer.http, asked, key=key, wait=25)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Preference-Applied"] == "wait=25"
        assert answer.json()["counts"] == {"queued": 0, "succeeded": 2, "failed": 1}
        again = send(payer.http, asked, key=key, wait=25)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
        assert again.json().keys() == {"id", "transfer_ids", "total", "created_at"}

    def test_one_that_is_still_queued_is_answered_as_ever(self, system: System, payer: Person, payee: Person) -> None:
        with queue_held(system):
            answer = send(payer.http, [taka(payee.wallet_id, 1)], key=token_hex(8), wait=1)
        assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")
        assert answer.json()["total"] == 1

    def test_a_poll_is_held_until_all_have_ended(self, system: System, payer: Person, payee: Person) -> None:
        with ThreadPoolExecutor() as threads:
            with queue_held(system):
                batch_id = send(payer.http, [taka(payee.wallet_id, n) for n in (1, 2)], key=token_hex(8)).json()["id"]
                path = f"/v1/transfer-batches/{batch_id}"
                queued = payer.http.get(path)
                polls = [threads.submit(payer.http.get, path, headers={"Prefer": "wait=25"}) for _ in range(3)]
                payer.http.get(path)
                assert not any(poll.done() for poll in polls)
            answers = [poll.result() for poll in polls]
        assert (queued.headers["ETag"], queued.headers["Retry-After"]) == ('"1"', "1")
        assert queued.json()["counts"] == {"queued": 2, "succeeded": 0, "failed": 0}
        assert {answer.json()["counts"]["succeeded"] for answer in answers} == {2}
        assert {answer.headers["ETag"] for answer in answers} == {'"3"'}
        assert "Retry-After" not in answers[0].headers
        known = payer.http.get(path, headers={"If-None-Match": '"3"'})
        assert (known.status_code, known.content) == (304, b"")
