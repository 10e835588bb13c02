"""What is said of a commit that stopped waiting for a synchronous standby: it stands, and a failover may lose it."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import structlog
from psycopg import sql

from hishab.embedded import PrivatePostgres
from shared.database.acceptance_at_once import accept_at_once
from shared.database.commits import commit_at_once
from shared.database.pool import intake_pool
from shared.domain.errors import OutcomeUnknown
from shared.queue import WakeUps
from tests.eventually import eventually
from tests.ledger import Ledger
from worker.lanes.worker import LaneWorker

NO_BROKER = "redis://127.0.0.1:1/0"

WAITING = "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = %s"


@pytest.fixture
def administrator(postgres: PrivatePostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


@contextmanager
def standby_missing(administrator: psycopg.Connection) -> Generator[None]:
    """Have every commit wait for a standby that there is not."""
    _have_standby(administrator, "nobody")
    try:
        # One process of PostgreSQL tells the others, and it learns of it by itself.
        eventually(lambda: _is_waited_for(administrator))
        yield
    finally:
        _have_standby(administrator, "")


def _have_standby(administrator: psycopg.Connection, name: str) -> None:
    administrator.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(name)))
    administrator.execute("SELECT pg_reload_conf()")
    eventually(lambda: administrator.execute("SHOW synchronous_standby_names").fetchone() == (name,))


def _is_waited_for(administrator: psycopg.Connection) -> bool:
    told: list[str | None] = []
    server = administrator.info
    with (
        psycopg.connect(server.dsn, password=server.password, autocommit=True) as another,
        waits_given_up(administrator, server.dbname),
    ):
        another.add_notice_handler(lambda notice: told.append(notice.sqlstate))
        another.execute("SET synchronous_commit = on")
        another.execute("SELECT pg_logical_emit_message(true, 'test', '')")
    return bool(told)


@contextmanager
def waits_given_up(administrator: psycopg.Connection, database: str) -> Generator[None]:
    """Cancel every wait for the standby, once, until the block is left."""
    over = threading.Event()
    given_up: set[tuple[object, ...]] = set()

    def give_up() -> None:
        while not over.wait(0.01):
            for wait in set(administrator.execute(WAITING, (database,)).fetchall()) - given_up:
                given_up.add(wait)
                administrator.execute("SELECT pg_cancel_backend(%s)", wait[:1])

    thread = threading.Thread(target=give_up)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_lane_raises_an_alarm(ledger: Ledger, administrator: psycopg.Connection) -> None:
    transfer_id = ledger.accept_one(ledger.wallet(holding=5), ledger.wallet(), 5)
    worker = LaneWorker(database_url=ledger.database_url, wake_ups=WakeUps(NO_BROKER))
    with (
        structlog.testing.capture_logs() as logs,
        standby_missing(administrator),
        waits_given_up(administrator, ledger.connection.info.dbname),
    ):
        worker.work(1)
    worker.disconnect()
    alarms = [line for line in logs if line["event"] == "commit.on_primary_only"]
    assert {line["log_level"] for line in alarms} == {"critical"}
    assert ledger.ending(transfer_id) == "succeeded"


@pytest.mark.anyio
async def test_accepting_does_not_confirm_it(ledger: Ledger, administrator: psycopg.Connection) -> None:
    request = ledger.request(ledger.wallet(), ledger.wallet(), 5, key="k")
    async with intake_pool(ledger.database_url, size_max=1) as pool:
        with (
            standby_missing(administrator),
            waits_given_up(administrator, ledger.connection.info.dbname),
            pytest.raises(OutcomeUnknown),
        ):
            await commit_at_once(
                pool, lambda connection: accept_at_once(connection, [request], lane_count=1, is_full=False)
            )
    assert ledger.value("SELECT count(*) FROM transfers WHERE idempotency_key = 'k'") == 1
