"""A PostgreSQL that takes what is sent and answers nothing is given up on, and what was locked on it is free again."""

import os
import signal
from collections.abc import Generator
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.abc import PQGen

from shared.database.connections import API, WORKER, Timeouts, connect, connect_async
from shared.database.endings import listen, next_notification
from shared.database.patience import PatientConnection
from shared.database.upkeep import end_silent
from shared.identifiers import new_id
from tests.chaos.relay import Relay, Then, Trap, relaying
from tests.chaos.stage import at_port
from tests.eventually import eventually
from tests.ledger import Ledger
from worker.lanes.apply import Holder, drain

SILENCE_SECONDS_MAX = 0.5
ANSWER_SECONDS_MAX = 30.0
"""Where PostgreSQL is to answer: a machine that is busy is no server that is silent."""

EXCHANGES_MIN = 12
"""With PostgreSQL, for a batch: or this test does not look where it should."""

LOOK_FOR_FREE_LANE = "SELECT FROM lanes WHERE lane = 1 FOR NO KEY UPDATE SKIP LOCKED"

SHORT = Timeouts(statement_seconds=60, lock_seconds=60, idle_in_transaction_seconds=1)


@pytest.fixture
def relay(database_url: str) -> Generator[Relay]:
    port = urlsplit(database_url).port
    assert port is not None
    with relaying(to_port=port) as relay:
        yield relay


@pytest.fixture
def connection(database_url: str, relay: Relay) -> Generator[PatientConnection]:
    with connect(at_port(database_url, relay.port), application_name="test", timeouts=SHORT) as connection:
        connection.execute("CREATE TABLE slips (number int)")
        connection.execute("INSERT INTO slips VALUES (1)")
        connection.answer_seconds_max = SILENCE_SECONDS_MAX
        yield connection


class TestOfTheBackground:
    def test_is_given_up_on_by_a_statement(self, connection: PatientConnection, relay: Relay) -> None:
        relay.swallow()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            connection.execute("SELECT 1")
        assert connection.closed

    def test_is_given_up_on_by_a_transaction(self, connection: PatientConnection, relay: Relay) -> None:
        relay.trap = Trap(word=b"COMMIT", then=Then.HOLD)
        with pytest.raises(psycopg.OperationalError, match="timeout"), connection.transaction():
            connection.execute("INSERT INTO slips VALUES (2)")
        assert connection.closed

    def test_is_given_up_on_by_rows_under_way(self, connection: PatientConnection, relay: Relay) -> None:
        def send() -> None:
            with connection.cursor() as cursor, cursor.copy("COPY slips FROM STDIN") as rows:
                rows.write(b"1\n")
                relay.swallow()
                rows.write(b"2\n")

        with pytest.raises(psycopg.OperationalError, match="timeout"):
            send()
        assert connection.closed

    def test_is_given_up_on_when_it_is_frozen(self, connection: PatientConnection) -> None:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError, match="timeout"):
                connection.execute("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)
        assert connection.closed

    def test_is_told_from_one_that_refuses(self, connection: PatientConnection) -> None:
        connection.answer_seconds_max = ANSWER_SECONDS_MAX
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT FROM nowhere")
        connection.execute("SET lock_timeout = 1")
        with connection.transaction(force_rollback=True):
            # For what is to be cancelled alone: on a busy machine anything takes longer than that.
            connection.execute("SET LOCAL statement_timeout = 1")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(60)")
        assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_lets_go_of_what_was_locked_by_whoever_it_no_longer_hears(
        self, connection: PatientConnection, relay: Relay, database_url: str
    ) -> None:
        def fall_silent() -> None:
            with connection.transaction():
                connection.execute("SELECT FROM slips FOR UPDATE")
                relay.swallow()
                connection.execute("SELECT 1")

        with pytest.raises(psycopg.OperationalError, match="timeout"):
            fall_silent()
        # PostgreSQL was not told that nobody listens any more.
        with psycopg.connect(database_url) as another:
            eventually(lambda: another.execute("SELECT FROM slips FOR UPDATE SKIP LOCKED").fetchone() is not None)


def test_whoever_falls_silent_while_sending_rows_is_ended_by_upkeep(
    connection: PatientConnection, database_url: str
) -> None:
    """PostgreSQL waits for rows for ever, whatever its timeouts are."""

    def send(upkeep: psycopg.Connection) -> None:
        with connection.cursor() as cursor, cursor.copy("COPY slips FROM STDIN"):
            eventually(lambda: end_silent(upkeep, seconds=SILENCE_SECONDS_MAX))

    connection.answer_seconds_max = ANSWER_SECONDS_MAX
    with connect(database_url, application_name="hishab-upkeep", timeouts=WORKER) as upkeep:
        # Who is no part of Hishab may be as silent as they like.
        connection.execute("SET application_name = 'somebody'")
        with connection.cursor() as cursor, cursor.copy("COPY slips FROM STDIN"):
            assert end_silent(upkeep, seconds=0) == 0
        connection.execute("SET application_name = 'hishab-lanes'")
        with pytest.raises(psycopg.errors.AdminShutdown):
            send(upkeep)


def test_whoever_falls_silent_anywhere_in_a_batch_lets_go_of_its_lane(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended by PostgreSQL itself, or, while that waits for rows, by upkeep."""
    source, destination = ledger.wallet(holding=100), ledger.wallet()
    place = said = 0
    while said >= place:
        place += 1
        ledger.accept_one(source, destination, 1)
        with monkeypatch.context() as patched:
            said = apply_and_fall_silent(ledger, patched, place=place)
        ledger.connection.execute("UPDATE lanes SET busy_by = NULL, busy_since = NULL")
    assert place > EXCHANGES_MIN
    ledger.drain()
    assert ledger.balance(destination) == place
    assert ledger.violations() == []


def apply_and_fall_silent(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, *, place: int) -> int:
    """Work a lane, silent after so many exchanges until another could take it; say how many exchanges there were."""
    exchanges, let_go = count(1), list[int]()
    with (
        connect(ledger.database_url, application_name="hishab-upkeep", timeouts=WORKER) as upkeep,
        connect(ledger.database_url, application_name="hishab-lanes", timeouts=SHORT) as holder,
    ):

        def is_free() -> bool:
            end_silent(upkeep, seconds=SILENCE_SECONDS_MAX)
            return upkeep.execute(LOOK_FOR_FREE_LANE).fetchone() is not None

        def fall_silent(connection: PatientConnection, gen: PQGen[object], interval: float = 0.1) -> object:
            answer = super(PatientConnection, connection).wait(gen, interval)
            if connection is holder and next(exchanges) == place:
                eventually(is_free)
                let_go.append(place)
            return answer

        monkeypatch.setattr(PatientConnection, "wait", fall_silent)
        with suppress(psycopg.Error):
            drain(holder, lane=1, holder=Holder(id=new_id()), seconds_max=0)
    said = next(exchanges) - 1
    # A failure within is taken for the batch's.
    assert let_go or said < place, f"the lane is not let go of after exchange {place}"
    return said


@pytest.mark.anyio
class TestOfTheEdge:
    async def test_is_given_up_on_by_a_statement(self, database_url: str, relay: Relay) -> None:
        url = at_port(database_url, relay.port)
        connection = await connect_async(url, application_name="test", timeouts=API)
        connection.answer_seconds_max = SILENCE_SECONDS_MAX
        relay.swallow()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            await connection.execute("SELECT 1")
        assert connection.closed

    async def test_may_have_nothing_to_tell_for_as_long_as_it_likes(self, database_url: str) -> None:
        async with await connect_async(database_url, application_name="test", timeouts=API) as connection:
            await listen(connection)
            connection.answer_seconds_max = SILENCE_SECONDS_MAX
            await next_notification(connection, seconds_max=3 * SILENCE_SECONDS_MAX)
            assert not connection.closed


@pytest.mark.parametrize("timeouts", [API, WORKER])
def test_all_goes_on_within_fifteen_seconds(database_url: str, timeouts: Timeouts) -> None:
    with connect(database_url, application_name="test", timeouts=timeouts) as connection:
        assert connection.answer_seconds_max is not None
        # PostgreSQL says so itself, if it can.
        assert timeouts.statement_seconds < connection.answer_seconds_max < 15
