"""Whoever never got the answer to what was committed gets that answer, to the byte, once the edge is back."""

import json
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import httpx2
import pytest

from tests.edge_process import Edge, edge_process
from tests.ledger import CURRENCY, Ledger

KEY: Final = "lost"
OF_THE_MOMENT: Final = {"date", "server", "connection"}
REPLAYED: Final = {"idempotent-replayed": "true"}

AFTER_COMMIT: Final = "after intake.write acceptance_at_once.accept_at_once #1"
BEFORE_COMMIT: Final = "before intake.write acceptance_at_once.accept_at_once #1"


@pytest.fixture
def transfer(ledger: Ledger) -> dict[str, Any]:
    return {
        "source_wallet_id": str(ledger.wallet(holding=10)),
        "destination_wallet_id": str(ledger.wallet()),
        "amount": 1,
        "currency": CURRENCY,
        "metadata": {"b": "1", "a": "জমা"},
    }


def post(edge: Edge, path: str, body: object) -> httpx2.Response:
    return edge.http.post(path, json=body, headers={"Idempotency-Key": KEY, "X-Request-ID": "mine"})


@pytest.mark.parametrize("path", ["/v1/transfers", "/v1/transfer-batches"])
def test_an_answer_that_died_with_its_process_is_given_again(
    ledger: Ledger, tmp_path: Path, transfer: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = transfer if path == "/v1/transfers" else {"transfers": [transfer, {**transfer, "amount": 2}]}
    file = tmp_path / "lost.json"
    monkeypatch.setenv("LOST_ANSWER", str(file))
    with (
        edge_process(ledger, tmp_path, program="tests.crashing.losing_edge", exit_code=-SIGKILL) as edge,
        pytest.raises(httpx2.TransportError),
    ):
        post(edge, path, body)
    lost = json.loads(file.read_bytes())
    assert lost["status"] == 202, lost
    with edge_process(ledger, tmp_path) as edge:
        again = post(edge, path, body)
    assert (again.status_code, again.content.decode()) == (lost["status"], lost["body"])
    assert without_moment(again.headers) == {**without_moment(lost["headers"]), **REPLAYED}
    ledger.drain()
    assert ledger.value("SELECT count(*) FROM queue") == 0
    assert ledger.violations() == []


@pytest.mark.parametrize(("point", "replayed"), [(BEFORE_COMMIT, None), (AFTER_COMMIT, "true")])
def test_what_was_committed_is_replayed_and_what_was_not_is_new(
    ledger: Ledger, tmp_path: Path, transfer: dict[str, Any], point: str, replayed: str | None
) -> None:
    settings = {"CRASH_AT": f"kill {point}", "ALLOW_CRASHES": "true"}
    with (
        edge_process(ledger, tmp_path, settings=settings, exit_code=-SIGKILL) as edge,
        pytest.raises(httpx2.TransportError),
    ):
        post(edge, "/v1/transfers", transfer)
    with edge_process(ledger, tmp_path) as edge:
        again = post(edge, "/v1/transfers", transfer)
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (202, replayed)
    assert ledger.value("SELECT count(*) FROM transfers WHERE idempotency_key = %s", KEY) == 1


def without_moment(headers: Any) -> dict[str, str]:  # noqa: ANN401 (a client's headers, or a dict of them)
    """Leave out what is the server's, of the moment."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in OF_THE_MOMENT}
