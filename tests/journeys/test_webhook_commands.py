"""`hishab listen` and `hishab webhooks`, run as people run them."""

import json
import signal
import subprocess
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from tests.callers import Person, operators_wallet, pay
from tests.eventually import eventually
from tests.journeys.command_line import at, command, hishab
from tests.journeys.test_webhooks import ENDPOINTS, listen, told
from tests.receiver import Reply, receiving
from tests.running_system import System

STOP_SECONDS_MAX = 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_shows_verifies_hands_on_and_takes_its_endpoint_back(
    system: System, operator: httpx2.Client, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "heard.jsonl"

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line)["event"] for line in out.read_text().splitlines()]

    source, destination = operators_wallet(operator, holding=100), operators_wallet(operator)
    before = operator.get(ENDPOINTS).json()["data"]
    with receiving(lambda _: Reply(status=202)) as receiver, out.open("w") as file:
        process = subprocess.Popen(command("listen", "--forward-to", receiver.url, *at(system)), stdout=file)
        eventually(lambda: [event["type"] for event in heard()] == ["ping"])
        fields = {"source_wallet_id": source, "currency": "CZK"}
        transfer = pay(operator, to=destination, amount=7, key=token_hex(8), fields=fields).json()
        eventually(lambda: len(heard()) == 2)
        process.send_signal(number)
        assert process.wait(STOP_SECONDS_MAX) == 0
    event = heard()[1]
    assert event["type"] == "transfer.succeeded"
    assert event["data"]["id"] == transfer["id"]
    assert [json.loads(request.body)["id"] for request in receiver.received] == [event["id"] for event in heard()]
    assert operator.get(ENDPOINTS).json()["data"] == before


def test_listen_says_so_where_webhooks_cannot_arrive(system: System) -> None:
    ended = hishab("listen", "--public-url", "http://192.0.2.1:8080", *at(system))
    assert ended.exit_code == 3
    assert "not a public one" in ended.document["error"]["message"]


def test_an_operator_finds_what_did_not_arrive_and_sends_it_again(system: System, payer: Person, payee: Person) -> None:
    replies = iter([Reply(status=410)])
    with receiving(lambda _: next(replies, Reply())) as receiver:
        endpoint = listen(payer, receiver.url)
        pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
        address = f"{ENDPOINTS}/{endpoint['id']}"
        eventually(lambda: not payer.http.get(address).json()["enabled"])
        listed = hishab("webhooks", "list", *at(system)).document
        (shown,) = [one for one in listed["endpoints"] if one["id"] == endpoint["id"]]
        assert (shown["disabled_reason"], shown["failures"], shown["owner_id"]) == ("gone", 1, payer.id)
        (lost,) = json.loads(hishab("webhooks", "deliveries", endpoint["id"], "--status", "exhausted", *at(system)).out)

        refused = hishab("webhooks", "resend", endpoint["id"], lost["id"], *at(system))
        assert (refused.exit_code, refused.document["error"]["code"]) == (3, "endpoint_disabled")
        payer.http.patch(address, json={"enabled": True})
        assert hishab("webhooks", "resend", endpoint["id"], lost["id"], *at(system)).exit_code == 0
        told(receiver, endpoint["secret"], count=2)
        recovered = hishab("webhooks", "recover", endpoint["id"], "--since", "2026-01-01T00:00:00Z", *at(system))
        assert recovered.document["since"].startswith("2026-01-01T00:00:00")
        assert "deliveries due" in hishab("webhooks", "list", "--data-dir", system.data_dir).out
