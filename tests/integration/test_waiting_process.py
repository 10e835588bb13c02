"""What keeps callers waiting, and what lets them go: a stop, a bound, a lost notification, a line that stays open."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from api.transfers.stream import PINGS_MAX
from api.transfers.waiting import Endings
from shared.settings import ApiSettings
from tests.edge_process import Answered, Edge, connections, edge_process, waiting
from tests.eventually import eventually
from tests.ledger import CURRENCY, Ledger
from tests.running_system import is_running

STREAM = {"Accept": "text/event-stream"}
WAIT = {"Prefer": "wait=25"}

GRACE_SECONDS = 8.0
"""Less than the ten seconds after which the server would no longer wait for those who wait."""

END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hishab-listener'"


@pytest.fixture
def queued(ledger: Ledger) -> UUID:
    """A transfer that is queued until the test drains its lane."""
    return ledger.accept_one(ledger.wallet(holding=1), ledger.wallet(), 1)


def waiting_for(edge: Edge, *asked: tuple[str, Mapping[str, str]], then: Callable[[], object]) -> list[Answered]:
    """Ask over a connection each, do what comes then once all are under way, and give the answers."""

    async def ask() -> list[Answered]:
        tasks = await waiting(edge, *asked)
        await asyncio.to_thread(then)
        return await asyncio.gather(*tasks)

    return asyncio.run(ask())


def paths(transfer_id: UUID) -> tuple[str, str]:
    return f"/v1/transfers/{transfer_id}", f"/v1/transfers/{transfer_id}/events"


class TestStop:
    def test_answers_those_who_wait_and_ends_streams(self, ledger: Ledger, queued: UUID, tmp_path: Path) -> None:
        path, events = paths(queued)
        with edge_process(ledger, tmp_path) as edge:
            asked = [(path, WAIT), (path, {**WAIT, "If-None-Match": '"1"'}), (events, STREAM)]
            polled, known, streamed = waiting_for(edge, *asked, then=lambda: stop(edge))
        assert (polled.status, '"status":"queued"' in polled.text) == (200, True)
        assert known.status == 304
        assert streamed.text.count("event: ") == 1
        assert "event: transfer.queued" in streamed.text
        assert streamed.text.endswith("\r\n0\r\n\r\n")

    def test_answers_who_waits_for_what_they_sent(self, ledger: Ledger, tmp_path: Path) -> None:
        source, destination = ledger.wallet(holding=1), ledger.wallet()
        with edge_process(ledger, tmp_path) as edge, ThreadPoolExecutor() as threads:
            posting = threads.submit(post, edge, source, destination)
            eventually(lambda: ledger.value("SELECT transfer_id FROM queue"))
            assert not posting.done()
            stop(edge)
            answer = posting.result()
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def stop(edge: Edge) -> None:
    os.kill(edge.pid, signal.SIGTERM)
    eventually(lambda: not is_running(edge.pid), seconds_max=GRACE_SECONDS)


def post(edge: Edge, source: UUID, destination: UUID) -> httpx2.Response:
    body = {
        "source_wallet_id": str(source),
        "destination_wallet_id": str(destination),
        "amount": 1,
        "currency": CURRENCY,
    }
    return edge.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": "k", **WAIT})


class TestBound:
    def test_whoever_comes_beyond_it_is_answered_at_once(self, ledger: Ledger, queued: UUID, tmp_path: Path) -> None:
        path, events = paths(queued)
        with edge_process(ledger, tmp_path, settings={"WATCHED_MAX": "0"}) as edge:
            polled = edge.http.get(path, headers=WAIT)
            streamed = edge.http.get(events, headers=STREAM)
            posted = post(edge, ledger.wallet(), ledger.wallet())
        assert (polled.status_code, polled.json()["status"], polled.headers["retry-after"]) == (200, "queued", "1")
        assert (posted.status_code, posted.headers["retry-after"]) == (202, "1")
        assert not any("preference-applied" in answer.headers for answer in (polled, posted))
        assert [line for line in streamed.text.splitlines() if line.startswith(("event", "retry"))] == [
            "event: transfer.queued",
            "retry: 1000",
        ]

    def test_counts_nobody_who_has_left_a_stream(self, ledger: Ledger, queued: UUID, tmp_path: Path) -> None:
        path, events = paths(queued)
        with edge_process(ledger, tmp_path, settings={"WATCHED_MAX": "1"}) as edge:
            with edge.http.stream("GET", events, headers=STREAM) as answer:
                lines = answer.iter_lines()
                assert next(lines) == "event: transfer.queued"
                assert "preference-applied" not in edge.http.get(path, headers={"Prefer": "wait=1"}).headers
            eventually(lambda: "preference-applied" in edge.http.get(path, headers={"Prefer": "wait=1"}).headers)


class TestStream:
    def test_is_kept_open_by_comments(self, ledger: Ledger, queued: UUID, tmp_path: Path) -> None:
        with (
            edge_process(ledger, tmp_path, settings={"STREAM_PING_SECONDS": "0.5"}) as edge,
            edge.http.stream("GET", paths(queued)[1], headers=STREAM) as answer,
        ):
            lines = answer.iter_lines()
            assert next(line for line in lines if line.startswith(":")) == ": ping"
            ledger.drain()
            assert "event: transfer.succeeded" in list(lines)

    def test_ends_with_the_credentials_it_was_asked_for_with(
        self, ledger: Ledger, queued: UUID, tmp_path: Path
    ) -> None:
        with (
            edge_process(ledger, tmp_path, settings={"STREAM_PING_SECONDS": "0.4"}) as edge,
            edge.http.stream("GET", paths(queued)[1], headers=STREAM) as answer,
        ):
            lines = answer.iter_lines()
            assert next(line for line in lines if line.startswith(":")) == ": ping"
            ledger.connection.execute("UPDATE api_keys SET revoked_at = now()")
            pings = [line for line in lines if line.startswith(":")]
            assert len(pings) + 1 < PINGS_MAX


class TestListener:
    def test_finds_what_ended_while_it_was_not_listening(self, ledger: Ledger, queued: UUID, tmp_path: Path) -> None:
        def is_deaf() -> bool:
            # It is back half a second later.
            ledger.connection.execute(END_LISTENERS)
            return not connections(ledger, "hishab-listener")

        def end_unheard() -> None:
            eventually(is_deaf)
            ledger.drain()

        with edge_process(ledger, tmp_path) as edge:
            (answer,) = waiting_for(edge, (paths(queued)[0], WAIT), then=end_unheard)
        assert '"status":"succeeded"' in answer.text


class TestWatch:
    @pytest.mark.anyio
    async def test_of_many_is_over_when_all_have_ended(self, ledger: Ledger, api_settings: ApiSettings) -> None:
        source, destination = await asyncio.to_thread(ledger.wallet, holding=9), await asyncio.to_thread(ledger.wallet)
        first, second = [await asyncio.to_thread(ledger.accept_one, source, destination, 1) for _ in range(2)]
        await asyncio.to_thread(ledger.drain)
        third = await asyncio.to_thread(ledger.accept_one, source, destination, 1)
        endings = Endings(api_settings.database_url, watched_max=3)
        listening = asyncio.create_task(endings.run())
        try:
            with endings.watch([first, second, third]) as watch, endings.watch([third]) as refused:
                assert (refused.was_refused, refused.is_over, watch.was_refused) == (True, True, False)
                while len(watch.endings) < 2:
                    await watch.wait(seconds_max=0.05)
                assert not watch.is_over
                await asyncio.to_thread(ledger.drain)
                await watch.wait(seconds_max=20)
                assert watch.endings.keys() == {first, second, third}
            with endings.watch([third]) as again:
                await again.wait(seconds_max=20)
                assert again.endings.keys() == {third}
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    @pytest.mark.anyio
    async def test_is_let_go_by_a_stop_and_refused_after_it(self, api_settings: ApiSettings) -> None:
        endings = Endings(api_settings.database_url, watched_max=3)
        with endings.watch([UUID(int=1)]) as watch:
            assert not watch.is_over
            endings.stop()
            await watch.wait(seconds_max=20)
            assert (watch.is_over, watch.endings, watch.was_refused) == (True, {}, False)
        with endings.watch([UUID(int=1)]) as late:
            assert (late.is_over, late.was_refused) == (True, True)
