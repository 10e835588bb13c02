"""An endpoint that is dead too long: disabled once, told of once, and when it is back, sent every event it missed."""

import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest

from shared import clock
from tests.callers import Person, ended, pay, signed_up
from tests.eventually import eventually
from tests.journeys.test_webhooks import ENDPOINTS, listen
from tests.receiver import Receiver, Reply, receiving
from tests.running_system import System, running_system

SHORTENED: Final = {
    "HISHAB_WEBHOOK_RETRY_SECONDS": ",".join(["0.1"] * 30),
    "HISHAB_WEBHOOK_DISABLE_AFTER_SECONDS": "2",
}
FAILURES_MIN: Final = 10
DISABLED: Final = "webhook_endpoint.disabled"


@pytest.fixture
def system() -> Iterator[System]:
    """One of its own: days are seconds in it."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        data_dir = Path(directory) / "data"
        with running_system(data_dir, "--allow-local-webhooks", environment=SHORTENED) as system:
            yield system


def test_a_dead_endpoint_is_disabled_once_told_once_and_recovers_every_missed_event(system: System) -> None:
    since = (clock.now() - timedelta(minutes=5)).isoformat()
    with signed_up(system) as payer, signed_up(system) as payee, receiving() as watching, receiving() as mended:
        mended.answer = lambda _: Reply(status=503)
        dead, other = listen(payer, mended.url), listen(payer, watching.url)

        missed = {_paid(payer, payee) for _ in range(3)}
        shown = eventually(lambda: _disabled(payer, dead))
        assert shown["disabled_reason"] == "failing"
        assert len(mended.received) >= FAILURES_MIN
        missed |= {_paid(payer, payee) for _ in range(3)}
        missed.add(_refused(payer, payee))
        eventually(lambda: missed <= _transfers(watching))
        eventually(lambda: all(d["status"] == "exhausted" for d in _deliveries(payer, dead)))
        assert missed > _transfers(mended), "what happened while it was disabled was not sent"

        mended.answer = lambda _: Reply()
        failed = len(mended.received)
        assert payer.http.patch(f"{ENDPOINTS}/{dead['id']}", json={"enabled": True}).status_code == 200
        assert payer.http.post(f"{ENDPOINTS}/{dead['id']}/recover", json={"since": since}).status_code == 202
        eventually(lambda: len(mended.received) - failed >= len(missed))
        eventually(lambda: {d["status"] for d in _deliveries(payer, dead)} == {"delivered"})

        recovered = mended.received[failed:]
        assert sorted(request.verified(dead["secret"])["data"]["id"] for request in recovered) == sorted(missed)
        _assert_same_bytes(watching, mended)
        _assert_told_once(payer, watching, secret=other["secret"], dead=dead)


def _assert_same_bytes(*receivers: Receiver) -> None:
    """Under one id, at every attempt, to either endpoint: also what failed before and what was made anew."""
    bodies: dict[str, set[bytes]] = {}
    for request in (request for receiver in receivers for request in receiver.received):
        bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
    assert {len(different) for different in bodies.values()} == {1}
    assert len(bodies) == 8, "seven transfers and a notice"


def _assert_told_once(person: Person, watching: Receiver, *, secret: str, dead: dict[str, Any]) -> None:
    events = [request.verified(secret) for request in watching.received]
    (notice,) = [event for event in events if event["type"] == DISABLED]
    assert (notice["data"]["endpoint_id"], notice["data"]["disabled_reason"]) == (dead["id"], "failing")
    assert person.http.get("/v1/events", params={"types": DISABLED}).json()["data"] == [notice]
    assert len(events) == 8


def _paid(payer: Person, payee: Person) -> str:
    return pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8)).json()["id"]


def _refused(payer: Person, payee: Person) -> str:
    transfer_id = pay(payer.http, to=payee.wallet_id, amount=500_001, key=token_hex(8)).json()["id"]
    assert ended(payer.http, transfer_id)["status"] == "failed"
    return transfer_id


def _disabled(person: Person, endpoint: dict[str, Any]) -> dict[str, Any]:
    shown = person.http.get(f"{ENDPOINTS}/{endpoint['id']}").json()
    return {} if shown["enabled"] else shown


def _deliveries(person: Person, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    return person.http.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries").json()["data"]


def _transfers(receiver: Receiver) -> set[str]:
    told = [json.loads(request.body) for request in list(receiver.received)]
    return {event["data"]["id"] for event in told if event["type"] != DISABLED}
