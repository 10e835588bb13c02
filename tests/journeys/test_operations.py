"""An operator finds out what a defect of ours did, lets a stopped lane go on, and follows a request to its webhook."""

import json
import re
from collections.abc import Iterator
from secrets import token_hex

import httpx2
import psycopg
import pytest

from tests.callers import Person, ended, operators_wallet, pay, problem_in
from tests.eventually import eventually
from tests.journeys.command_line import at, hishab
from tests.journeys.test_logs import defect
from tests.journeys.test_webhooks import listen
from tests.receiver import receiving
from tests.running_system import System

LANES = "/v1/system/lanes"
ODD_AMOUNT = 4_243


@pytest.fixture
def stopped(system: System) -> Iterator[None]:
    """Lane 1, stopped as by too many defects."""
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("UPDATE lanes SET stopped_at = now(), unprocessable_in_a_row = 11 WHERE lane = 1")
        yield
        connection.execute("UPDATE lanes SET stopped_at = NULL, unprocessable_in_a_row = 0 WHERE lane = 1")


class TestUnprocessable:
    def test_transfers_are_listed_with_what_went_wrong(self, system: System, payer: Person, payee: Person) -> None:
        surprise = defect(
            system,
            "ALTER TABLE entries ADD CONSTRAINT entries_surprise CHECK (amount <> 4243) NOT VALID",
            mend="ALTER TABLE entries DROP CONSTRAINT entries_surprise",
        )
        with surprise:
            transfer_id = pay(payer.http, to=payee.wallet_id, amount=ODD_AMOUNT, key=token_hex(8)).json()["id"]
            assert ended(payer.http, transfer_id)["failure"]["code"] == "unprocessable"
        listed = json.loads(hishab("transfers", "unprocessable", *at(system)).out)
        (found,) = [transfer for transfer in listed if transfer["id"] == transfer_id]
        assert "entries_surprise" in found["defect"]
        assert (found["status"], found["amount"]) == ("failed", ODD_AMOUNT)
        said = hishab("transfers", "unprocessable", *(word for word in at(system) if word != "--json")).out
        assert re.search(rf"^{transfer_id}  20.*entries_surprise", said, re.MULTILINE)


class TestLane:
    def test_that_was_stopped_is_seen_and_goes_on_when_told_to(
        self, system: System, payer: Person, payee: Person, stopped: None
    ) -> None:
        (lane,) = json.loads(hishab("lanes", "list", *at(system)).out)
        assert (lane["lane"], lane["status"]) == (1, "stopped")
        transfer_id = pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8)).json()["id"]
        assert payer.http.get(f"/v1/transfers/{transfer_id}").json()["status"] == "queued"
        assert hishab("lanes", "start", "1", *at(system)).document["status"] in {"working", "careful"}
        assert ended(payer.http, transfer_id)["status"] == "succeeded"
        assert hishab("lanes", "start", "1", *at(system)).exit_code == 0

    def test_that_there_is_not_is_not_started(self, operator: httpx2.Client) -> None:
        problem_in(operator.post(f"{LANES}/7/start"), status=404, code="lane_not_found")
        problem_in(operator.post(f"{LANES}/0/start"), status=422, code="validation_failed")


def logged(system: System, *words: str) -> list[dict[str, str]]:
    """Read the fields of the log's lines that have all of these words in them."""
    lines = [line for line in system.log.read_text().splitlines() if all(word in line for word in words)]
    return [dict(re.findall(r"(\w+)=('[^']*'|\S+)", line)) for line in lines]


class TestLog:
    def test_leads_from_a_request_to_its_webhook(self, system: System, payer: Person, payee: Person) -> None:
        request_id = token_hex(8)
        with receiving() as receiver:
            listen(payer, receiver.url)
            body = {"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}
            headers = {"Idempotency-Key": token_hex(8), "X-Request-ID": request_id}
            transfer_id = payer.http.post("/v1/transfers", json=body, headers=headers).json()["id"]
            (accepted,) = eventually(lambda: logged(system, "transfer.accepted", request_id))
            assert accepted["transfer_id"] == transfer_id
            (delivered,) = eventually(lambda: logged(system, "webhook.delivered", transfer_id))
            assert delivered["event_id"] in receiver.ids()

    def test_leads_from_a_batch_to_its_transfers(self, system: System, operator: httpx2.Client) -> None:
        request_id = token_hex(8)
        source, destination = operators_wallet(operator, holding=200), operators_wallet(operator)
        transfer = {"source_wallet_id": source, "destination_wallet_id": destination, "amount": 1, "currency": "CZK"}
        headers = {"Idempotency-Key": token_hex(8), "X-Request-ID": request_id}
        batch = operator.post("/v1/transfer-batches", json={"transfers": [transfer] * 101}, headers=headers).json()
        eventually(lambda: len(logged(system, "batch.accepted", request_id)) == 2)
        lines = logged(system, "batch.accepted", request_id)
        assert [id_ for line in lines for id_ in line["transfer_ids"].strip("'").split()] == batch["transfer_ids"]
