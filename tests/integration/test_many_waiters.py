"""Hold a thousand long polls open to one edge: all are answered soon after the commit, over the connections of one."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic
from typing import Self
from uuid import UUID

import psycopg
import pytest

from shared.domain.acceptance import Accepted
from tests.edge_process import Answered, Edge, connections, edge_process, waiting
from tests.eventually import eventually
from tests.ledger import Ledger
from worker.lanes import apply

WAITERS = 1_000
WAIT_SECONDS = 25
POOL_SIZE = 4

ONE_BY_ONE = 250
"""Of them. More would have to be applied in a time in which nobody knows how fast the machine is."""

LAST_SECONDS_MAX = 10.0
"""Long before they are let go. These tests share the machine with others, which may stop it for seconds."""

HALF_SECONDS_MAX = 0.4
"""Sooner than half of them are found by whoever looks once a second. A machine that stops, stops a few."""


class CommitClock:
    """Says when each event of lane 1 was committed: the worker tells of every commit right after it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._listening, self._stop = Event(), Event()
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._thread = Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def committed_at(self, event_number: int) -> float:
        return self._times[bisect_left(self._numbers, event_number)]

    def _listen(self) -> None:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute("LISTEN hishab_applied")
            self._listening.set()
            while not self._stop.is_set():
                for notification in connection.notifies(timeout=0.1):
                    self._numbers.append(int(notification.payload.partition(":")[2]))
                    self._times.append(monotonic())


def accepted(ledger: Ledger) -> list[UUID]:
    source, destination = ledger.wallet(holding=WAITERS), ledger.wallet()
    acceptances = ledger.accept([ledger.request(source, destination, 1) for _ in range(WAITERS)])
    return [acceptance.transfer.id for acceptance in acceptances if isinstance(acceptance, Accepted)]


def polled(edge: Edge, transfers: Sequence[UUID], *, once_all_wait: Callable[[], object]) -> list[Answered]:
    """Poll for the end of each transfer over a connection of its own."""

    async def poll() -> list[Answered]:
        asked = [(f"/v1/transfers/{transfer}", {"Prefer": f"wait={WAIT_SECONDS}"}) for transfer in transfers]
        polls = await waiting(edge, *asked)
        assert not [poll.result().text for poll in polls if poll.done()]
        await asyncio.to_thread(once_all_wait)
        return await asyncio.gather(*polls)

    return asyncio.run(poll())


def delays(ledger: Ledger, clock: CommitClock, transfers: Sequence[UUID], answers: Sequence[Answered]) -> list[float]:
    """Measure how long after the commit of its transfer each answer was there."""
    rows = ledger.connection.execute("SELECT transfer_id, number FROM events").fetchall()
    numbers: dict[UUID, int] = dict(rows)
    found = [
        answer.at_seconds - clock.committed_at(numbers[transfer])
        for transfer, answer in zip(transfers, answers, strict=True)
    ]
    p50, p99, last = (sorted(found)[len(found) * part // 100 - 1] for part in (50, 99, 100))
    print(f"after the commit: p50 {p50:.3f} s, p99 {p99:.3f} s, last {last:.3f} s")  # noqa: T201 (shown by pytest -s)
    return found


@pytest.mark.parametrize("one_by_one", [0, ONE_BY_ONE])
def test_all_are_answered_soon_after_the_commit(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_by_one: int
) -> None:
    monkeypatch.setattr(apply, "CAREFUL_BATCH_MAX", 1)
    transfers = accepted(ledger)
    in_use: list[int] = []

    def end_all() -> None:
        in_use.append(connections(ledger, "hishab-api"))
        ledger.connection.execute("UPDATE lanes SET careful_transfers_left = %s", (one_by_one,))
        ledger.drain()

    with edge_process(ledger, tmp_path, settings={"DATABASE_POOL_SIZE": str(POOL_SIZE)}) as edge:
        with CommitClock(ledger.database_url) as clock:
            answers = polled(edge, transfers, once_all_wait=end_all)
        in_use.append(connections(ledger, "hishab-api"))
        eventually(lambda: connections(ledger, "hishab-listener") == 1)
    assert {answer.status for answer in answers} == {200}
    assert all('"status":"succeeded"' in answer.text for answer in answers)
    assert max(in_use) <= POOL_SIZE
    found = delays(ledger, clock, transfers, answers)
    assert max(found) <= LAST_SECONDS_MAX
    assert not one_by_one or median(found[:one_by_one]) <= HALF_SECONDS_MAX
