"""What an operator is told: every metric that is documented and no other, and figures that are true."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from fastapi import Response
from prometheus_client.parser import text_string_to_metric_families

from api import health
from api.main import make_parts
from api.parts import Parts
from shared.queue import WakeUps
from shared.settings import ApiSettings
from tests.edge_process import Edge, edge_process
from tests.eventually import eventually
from tests.ledger import CURRENCY, Ledger
from worker.lanes.worker import LaneWorker
from worker.upkeep.audit import audit
from worker.upkeep.sweep import sweep

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW: Final = re.compile(r"^\| `(hishab_\w+)` \| (\w+)", re.MULTILINE)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def edge(ledger: Ledger, tmp_path: Path) -> Iterator[Edge]:
    with edge_process(ledger, tmp_path, settings={"STALLED_SECONDS": "0.5"}) as edge:
        yield edge


def samples(edge: Edge) -> Samples:
    """Read all metrics by name and labels."""
    families = text_string_to_metric_families(edge.http.get("/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(edge: Edge, name: str, **labels: str) -> float | None:
    return samples(edge).get((f"hishab_{name}", frozenset(labels.items())))


def swept(ledger: Ledger) -> None:
    """Have upkeep sweep once."""
    worker = LaneWorker(database_url=ledger.database_url, wake_ups=WakeUps("redis://127.0.0.1:1/0"))
    sweep(worker, age_seconds=1)
    worker.disconnect()


def pay(edge: Edge, ledger: Ledger, *, count: int) -> None:
    """Have transfers accepted over HTTP, and the first of them once more; nobody applies them."""
    body = {
        "source_wallet_id": str(ledger.issuance_id),
        "destination_wallet_id": str(ledger.wallet()),
        "amount": 1,
        "currency": CURRENCY,
    }
    for n in (*range(count), 0):
        assert edge.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": f"k{n}"}).status_code == 202


def test_the_page_says_what_is_exported_and_nothing_else(edge: Edge) -> None:
    eventually(lambda: value(edge, "database_up") == 1)
    answer = edge.http.get("/metrics", headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    exported = re.findall(r"^# TYPE (hishab_\w+) (\w+)$", answer.text, re.MULTILINE)
    assert sorted(exported) == sorted(ROW.findall(PAGE.read_text()))


class TestIntake:
    def test_counts_what_it_accepted_replayed_and_refused(self, edge: Edge, ledger: Ledger) -> None:
        pay(edge, ledger, count=3)
        unknown = {"destination_email": "nobody@example.org", "amount": 1, "currency": CURRENCY}
        refused = edge.http.post(
            "/v1/transfers",
            json={"source_wallet_id": str(ledger.issuance_id), **unknown},
            headers={"Idempotency-Key": "unknown"},
        )
        assert refused.status_code == 422
        batch = {"source_wallet_id": str(ledger.issuance_id), "destination_wallet_id": str(ledger.wallet())}
        transfers = [{**batch, "amount": 1, "currency": CURRENCY}] * 7
        headers = {"Idempotency-Key": "batch"}
        assert edge.http.post("/v1/transfer-batches", json={"transfers": transfers}, headers=headers).is_success
        assert value(edge, "intake_accepted_transfers_total", door="transfers") == 3
        assert value(edge, "intake_replayed_requests_total", door="transfers") == 1
        assert value(edge, "intake_refused_requests_total", door="transfers", code="destination_unknown") == 1
        assert value(edge, "intake_accepted_transfers_total", door="batches") == 7
        assert value(edge, "intake_group_transfers_sum", door="batches") == 7
        assert value(edge, "intake_write_seconds_count", door="transfers") == 5
        assert value(edge, "intake_waiting_transfers", door="transfers") == 0
        # There is no broker.
        eventually(lambda: (value(edge, "wake_ups_total", outcome="dropped") or 0) > 0)


class TestLane:
    def test_tells_what_waits_and_for_how_long(self, edge: Edge, ledger: Ledger) -> None:
        pay(edge, ledger, count=4)
        eventually(lambda: value(edge, "lane_queued_transfers", lane="1") == 4)
        eventually(lambda: (value(edge, "lane_oldest_queued_seconds", lane="1") or 0) > 0.5)
        ledger.drain()
        eventually(lambda: value(edge, "lane_queued_transfers", lane="1") == 0)
        assert value(edge, "lane_oldest_queued_seconds", lane="1") == 0

    def test_counts_every_transfer_once_however_many_workers_there_were(self, edge: Edge, ledger: Ledger) -> None:
        counted = "accepted_to_applied_seconds_count"
        for transfers in (3, 5):
            source, destination = ledger.wallet(holding=1_000), ledger.wallet()
            ledger.accept([ledger.request(source, destination, 1) for _ in range(transfers)])
            ledger.drain()
        applied = ledger.value("SELECT count(*) FROM events WHERE transfer_id IS NOT NULL")
        assert applied == 10
        eventually(lambda: value(edge, counted, lane="1") == applied)
        assert value(edge, "accepted_to_applied_seconds_bucket", lane="1", le="+Inf") == applied

    def test_measures_from_acceptance(self, edge: Edge, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=10), ledger.wallet()
        ledger.accept_one(source, destination, 1)
        ledger.connection.execute("UPDATE queue SET accepted_at = accepted_at - interval '45 s'")
        ledger.drain()
        buckets = {le: ("accepted_to_applied_seconds_bucket", le) for le in ("30.0", "60.0")}
        eventually(lambda: value(edge, buckets["60.0"][0], lane="1", le="60.0") == 2)
        assert value(edge, buckets["30.0"][0], lane="1", le="30.0") == 1
        assert 45 < (value(edge, "accepted_to_applied_seconds_sum", lane="1") or 0) < 300

        ledger.connection.execute("UPDATE lanes SET stopped_at = now(), careful_transfers_left = 7 WHERE lane = 1")
        eventually(lambda: value(edge, "lane_stopped", lane="1") == 1)
        assert value(edge, "lane_careful_transfers_left", lane="1") == 7


class TestSystem:
    def test_tells_of_sweeps_audits_and_what_was_unprocessable(self, edge: Edge, ledger: Ledger) -> None:
        assert value(edge, "last_audit_holds") is None
        swept(ledger)
        assert edge.http.post("/v1/system/audits").status_code == 202
        assert audit(ledger.connection)
        eventually(lambda: value(edge, "last_audit_holds") == 1)
        assert value(edge, "last_sweep_timestamp_seconds")
        assert value(edge, "last_audit_timestamp_seconds")
        assert value(edge, "unprocessable_transfers") == 0


class TestReadiness:
    def test_names_what_is_stuck_and_is_well_again_soon_after(self, edge: Edge, ledger: Ledger) -> None:
        def lanes() -> str | None:
            # Nothing is said of them where PostgreSQL took too long to say it.
            return edge.http.get("/readyz").json()["checks"].get("lanes")

        def queued() -> int:
            return sum(lane["queued"] for lane in edge.http.get("/readyz").json()["stuck"])

        eventually(lambda: lanes() == "ok")
        pay(edge, ledger, count=2)
        eventually(lambda: lanes() == "degraded")
        # It may have been looked at between the two.
        eventually(lambda: queued() == 2)
        answer = edge.http.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        (stuck,) = answer.json()["stuck"]
        assert (stuck["lane"], stuck["reason"], stuck["queued"]) == (1, "stalled", 2)
        assert stuck["oldest_queued_seconds"] >= 0.5
        ledger.drain()
        eventually(lambda: lanes() == "ok")
        assert edge.http.get("/readyz").json()["stuck"] == []

    def test_misses_upkeep(self, edge: Edge, ledger: Ledger) -> None:
        def upkeep() -> str | None:
            return edge.http.get("/readyz").json()["checks"].get("upkeep")

        eventually(lambda: upkeep() == "degraded")
        swept(ledger)
        eventually(lambda: upkeep() == "ok")

    @pytest.mark.anyio
    async def test_ends_when_the_process_is_stopping(self, ledger: Ledger, api_settings: ApiSettings) -> None:
        parts: Parts = make_parts(api_settings, lane_count=1)
        for status in (200, 503):
            response = Response()
            await health.get_readyz(parts, response)
            assert response.status_code == status
            parts.endings.stop()
        await parts.looking_engine.dispose()
        await asyncio.to_thread(parts.wake_ups.stop)

    @pytest.mark.anyio
    async def test_is_denied_with_patience_while_postgresql_is_away(self, api_settings: ApiSettings) -> None:
        away = api_settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/nothing"})
        parts, response = make_parts(away, lane_count=1), Response()
        said = await health.get_readyz(parts, response)
        assert (response.status_code, said["checks"]["database"]) == (503, "unavailable")
        assert response.headers["retry-after"] == "1"
        await parts.looking_engine.dispose()
        await asyncio.to_thread(parts.wake_ups.stop)
