"""What a lane promises: once each, in order, whole batches or nothing, and never stuck behind one bad transfer."""

import threading
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from shared.database.connections import AUDIT, WORKER, connect
from shared.domain.acceptance import Accepted
from shared.identifiers import new_id
from shared.queue import WakeUps
from tests.eventually import eventually
from tests.ledger import Ledger
from worker.lanes import apply
from worker.lanes.apply import ATTEMPTS_MAX, BATCH_MAX, UNPROCESSABLE_IN_A_ROW_MAX, Holder, drain
from worker.lanes.worker import LaneWorker
from worker.upkeep.sweep import sweep

NO_BROKER = "redis://127.0.0.1:1/0"


def poison(ledger: Ledger, transfer_id: UUID, source_id: UUID, destination_id: UUID) -> None:
    """Make the database refuse a transfer: it holds entries of it already, as if it had been applied before."""
    with ledger.connection.transaction():
        ledger.connection.execute(
            "INSERT INTO entries (wallet_id, number, transfer_id, amount, balance_after, created_at)"
            " VALUES (%(a)s, 1000000, %(t)s, -1, 0, now()), (%(b)s, 1000000, %(t)s, 1, 0, now())",
            {"a": source_id, "b": destination_id, "t": transfer_id},
        )


class TestDrain:
    def test_applies_in_order_of_acceptance(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=1_000), ledger.wallet()
        accepted = [ledger.accept_one(source, destination, amount) for amount in (1, 2, 3, 4, 5)]
        assert ledger.drain().applied == len(accepted)
        assert ledger.order_of_debits(source) == accepted
        assert (ledger.balance(source), ledger.balance(destination)) == (985, 15)
        assert ledger.violations() == []

    def test_fails_what_the_source_does_not_hold_and_goes_on(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=10), ledger.wallet()
        endings = [ledger.accept_one(source, destination, amount) for amount in (8, 3, 2)]
        ledger.drain()
        assert [ledger.ending(t) for t in endings] == ["succeeded", "insufficient_funds", "succeeded"]
        assert ledger.violations() == []

    def test_spends_what_an_earlier_credit_brings(self, ledger: Ledger) -> None:
        first, second, third = ledger.wallet(holding=5), ledger.wallet(), ledger.wallet()
        ledger.accept_one(first, second, 5)
        onward = ledger.accept_one(second, third, 5)
        ledger.drain()
        assert ledger.ending(onward) == "succeeded"

    def test_takes_more_than_a_batch(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=10 * BATCH_MAX), ledger.wallet()
        ledger.accept([ledger.request(source, destination, 1) for _ in range(BATCH_MAX + 1)])
        assert ledger.drain().applied == BATCH_MAX + 1
        assert ledger.balance(destination) == BATCH_MAX + 1
        assert ledger.violations() == []

    def test_applies_each_once_and_in_order_when_many_drain_at_once(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=10_000), ledger.wallet()
        accepted: list[UUID] = []
        stop = threading.Event()

        def keep_draining() -> None:
            holder = Holder(id=new_id())
            with connect(ledger.database_url, application_name="test", timeouts=WORKER) as connection:
                while not stop.is_set():
                    drain(connection, lane=1, holder=holder, seconds_max=0.05)

        threads = [threading.Thread(target=keep_draining) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            group = ledger.accept([ledger.request(source, destination, 1) for _ in range(5)])
            accepted += [a.transfer.id for a in group if isinstance(a, Accepted)]
        stop.set()
        for thread in threads:
            thread.join()
        ledger.connection.execute("UPDATE lanes SET busy_by = NULL, busy_since = NULL")
        ledger.drain()
        assert ledger.order_of_debits(source) == accepted
        assert ledger.balance(destination) == len(accepted)
        assert ledger.violations() == []

    def test_leaves_a_lane_that_is_locked(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        transfer_id = ledger.accept_one(source, destination, 5)
        with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
            other.execute("SELECT FROM lanes WHERE lane = 1 FOR NO KEY UPDATE")
            assert ledger.drain().applied == 0
        assert ledger.drain().applied == 1
        assert ledger.ending(transfer_id) == "succeeded"

    def test_does_not_keep_intake_waiting(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
            other.execute("SELECT FROM lanes WHERE lane = 1 FOR NO KEY UPDATE")
            other.execute("SELECT FROM wallets ORDER BY id FOR NO KEY UPDATE")
            ledger.accept_one(source, destination, 5)

    def test_rolls_a_batch_back_whole_when_the_connection_is_lost(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        transfer_id = ledger.accept_one(source, destination, 5)
        with (
            connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other,
            connect(ledger.database_url, application_name="test", timeouts=WORKER) as killer,
            other.transaction(),
        ):
            # The batch waits for this lock, halfway through; then its connection dies, and not of waiting too long.
            ledger.connection.execute("SET lock_timeout = 0")
            other.execute("SELECT FROM wallets WHERE id = %s FOR UPDATE", (destination,))
            threading.Thread(target=_kill_when_waiting, args=(killer, ledger.connection.info.backend_pid)).start()
            with pytest.raises(psycopg.OperationalError):
                ledger.drain()
        again = Ledger.on(ledger.database_url)
        with again.connection:
            assert again.ending(transfer_id) is None
            again.connection.execute("UPDATE lanes SET busy_since = busy_since - interval '1 hour'")
            again.drain()
            assert again.ending(transfer_id) == "succeeded"
            assert again.violations() == []


class TestHoldersMark:
    def test_a_young_mark_of_somebody_else_is_respected(self, ledger: Ledger) -> None:
        ledger.accept_one(ledger.wallet(holding=5), ledger.wallet(), 5)
        # As young however long it takes to get there.
        mark(ledger, age=timedelta(hours=-1))
        assert ledger.drain().applied == 0

    def test_an_old_mark_says_that_its_holder_died_and_each_attempt_is_noted(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        transfers = [ledger.accept_one(source, destination, 1) for _ in range(3)]
        mark(ledger, age=timedelta(seconds=5))
        with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
            other.execute("SELECT FROM wallets WHERE id = %s FOR UPDATE", (destination,))
            ledger.connection.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                ledger.drain()
        assert ledger.value("SELECT attempts FROM queue ORDER BY position LIMIT 1") == 1
        mark(ledger, age=timedelta(seconds=5))
        assert ledger.drain().applied == len(transfers)
        assert ledger.order_of_debits(source) == transfers

    def test_trouble_with_the_infrastructure_is_not_counted_against_a_transfer(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        transfer_id = ledger.accept_one(source, destination, 5)
        mark(ledger, age=timedelta(seconds=5))
        holder = Holder(id=new_id())
        with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction():
            other.execute("SELECT FROM wallets WHERE id = %s FOR UPDATE", (destination,))
            ledger.connection.execute("SET lock_timeout = '20ms'")
            for _ in range(ATTEMPTS_MAX + 1):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    ledger.drain(holder=holder)
        assert ledger.value("SELECT attempts FROM queue") == 1
        ledger.drain(holder=holder)
        assert ledger.ending(transfer_id) == "succeeded"

    def test_a_holder_is_not_turned_out_by_those_who_only_look(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source, destination = ledger.wallet(holding=1_000), ledger.wallet()
        ledger.accept([ledger.request(source, destination, 1) for _ in range(300)])
        # One by one, so that there are many moments between two transactions.
        monkeypatch.setattr(apply, "CAREFUL_BATCH_MAX", 1)
        mark(ledger, age=timedelta(seconds=5))
        connected, marked, done = threading.Event(), threading.Event(), threading.Event()
        looks: list[int] = []

        def keep_looking() -> None:
            with connect(ledger.database_url, application_name="test", timeouts=WORKER) as connection:
                connected.set()
                marked.wait()
                while not done.is_set():
                    looks.append(drain(connection, lane=1, holder=Holder(id=new_id()), seconds_max=0).applied)

        looker = threading.Thread(target=keep_looking)
        looker.start()
        connected.wait()
        holder = Holder(id=new_id())
        ledger.connection.execute(
            "UPDATE lanes SET busy_by = %s, busy_since = clock_timestamp(), careful_transfers_left = 300"
            " WHERE lane = 1",
            (holder.id,),
        )
        # What the holder renews stays young, also where it is held up for longer than a mark is trusted.
        ledger.connection.execute(
            "CREATE FUNCTION stay_young() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.busy_since := NEW.busy_since + interval '1 hour'; RETURN NEW; END $$"
        )
        ledger.connection.execute(
            "CREATE TRIGGER stay_young BEFORE UPDATE ON lanes FOR EACH ROW"
            " WHEN (NEW.busy_since <> OLD.busy_since) EXECUTE FUNCTION stay_young()"
        )
        marked.set()
        # Whoever looks may be first to the lane's lock; but nobody gets in once its holder is.
        applied = eventually(lambda: ledger.drain(holder=holder).applied)
        done.set()
        looker.join()
        assert applied == 300
        assert len(looks) > 10

    def test_ones_own_mark_is_no_reason_for_care(self, ledger: Ledger) -> None:
        ledger.accept_one(ledger.wallet(holding=5), ledger.wallet(), 5)
        mark(ledger, age=timedelta(seconds=5), holder_id=(me := new_id()))
        assert ledger.drain(holder=Holder(id=me)).applied == 1
        assert ledger.value("SELECT careful_transfers_left FROM lanes WHERE lane = 1") == 0

    def test_what_waited_at_a_death_is_applied_alone_at_first_and_then_by_ever_more(self, ledger: Ledger) -> None:
        source = accept_some(ledger, 250)
        mark(ledger, age=timedelta(seconds=5))
        assert ledger.drain().applied == 250
        assert batches(ledger, source) == [1, 2, 4, 8, 16, 32, 64, 64, 59]

    def test_a_stay_goes_on_with_the_care_of_the_one_before(self, ledger: Ledger) -> None:
        source = accept_some(ledger, 20)
        mark(ledger, age=timedelta(seconds=5))
        holder = Holder(id=new_id())
        for _ in range(4):
            drain(ledger.connection, lane=1, holder=holder, seconds_max=0)
        assert batches(ledger, source) == [1, 2, 4, 8]

    def test_care_begins_anew_at_every_death(self, ledger: Ledger) -> None:
        source = accept_some(ledger, 20)
        holder = Holder(id=new_id())
        for _ in range(3):
            mark(ledger, age=timedelta(seconds=5))
            drain(ledger.connection, lane=1, holder=holder, seconds_max=0)
        assert batches(ledger, source) == [1, 1, 1]

    def test_care_begins_anew_for_whoever_found_the_lane_without_need_of_it(self, ledger: Ledger) -> None:
        accept_some(ledger, 3)
        mark(ledger, age=timedelta(seconds=5))
        ledger.drain(holder=(experienced := Holder(id=new_id())))
        ledger.drain(holder=experienced)
        source = accept_some(ledger, 3)
        ledger.connection.execute("UPDATE lanes SET careful_transfers_left = 3 WHERE lane = 1")
        ledger.drain(holder=experienced)
        assert batches(ledger, source) == [1, 2]

    def test_only_what_waited_at_a_death_is_applied_with_care(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=9), ledger.wallet()
        for _ in range(3):
            ledger.accept_one(source, destination, 1)
        mark(ledger, age=timedelta(seconds=5))
        assert ledger.drain().applied == 3
        assert ledger.value("SELECT careful_transfers_left FROM lanes WHERE lane = 1") == 0

    def test_is_cleared_in_the_end(self, ledger: Ledger) -> None:
        ledger.drain()
        assert ledger.value("SELECT busy_by FROM lanes WHERE lane = 1") is None

    def test_what_killed_five_holders_ends_as_unprocessable(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=5), ledger.wallet()
        killer, innocent = ledger.accept_one(source, destination, 1), ledger.accept_one(source, destination, 1)
        ledger.connection.execute("UPDATE queue SET attempts = %s WHERE transfer_id = %s", (ATTEMPTS_MAX, killer))
        mark(ledger, age=timedelta(seconds=5))
        ledger.drain()
        assert ledger.ending(killer) == "unprocessable"
        assert ledger.ending(innocent) == "succeeded"
        assert ledger.balance(destination) == 1


class TestPoison:
    def test_one_bad_transfer_fails_alone(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=100), ledger.wallet()
        transfers = [ledger.accept_one(source, destination, 1) for _ in range(7)]
        poison(ledger, transfers[3], source, destination)
        ledger.drain()
        endings = [ledger.ending(transfer_id) for transfer_id in transfers]
        assert endings == [*["succeeded"] * 3, "unprocessable", *["succeeded"] * 3]
        assert ledger.balance(destination) == 6
        assert "entries_transfer_id_wallet_id_key" in ledger.value(
            "SELECT defect FROM events WHERE transfer_id = %s", transfers[3]
        )

    def test_too_many_in_a_row_stop_the_lane_and_lose_nothing(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=100), ledger.wallet()
        transfers = [ledger.accept_one(source, destination, 1) for _ in range(UNPROCESSABLE_IN_A_ROW_MAX + 2)]
        # A defect of ours, which refuses whatever comes.
        ledger.connection.execute("ALTER TABLE entries ADD CONSTRAINT defect CHECK (amount = 0) NOT VALID")
        ledger.connection.execute("UPDATE queue SET attempts = %s", (ATTEMPTS_MAX,))
        ledger.drain()
        assert ledger.value("SELECT stopped_at IS NOT NULL FROM lanes WHERE lane = 1")
        assert ledger.value("SELECT count(*) FROM queue") == 1
        assert ledger.ending(transfers[-1]) is None
        assert ledger.drain().applied == 0

    def test_halving_goes_on_over_stays_that_are_too_short_for_it(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=100), ledger.wallet()
        transfers = [ledger.accept_one(source, destination, 1) for _ in range(9)]
        poison(ledger, transfers[4], source, destination)
        holder = Holder(id=new_id())
        for _ in range(60):
            drain(ledger.connection, lane=1, holder=holder, seconds_max=0)
        assert ledger.ending(transfers[4]) == "unprocessable"
        assert ledger.value("SELECT count(*) FROM queue") == 0
        assert ledger.balance(destination) == 8

    def test_what_cannot_even_be_given_up_stops_the_lane(self, ledger: Ledger) -> None:
        source, destination = ledger.wallet(holding=100), ledger.wallet()
        ended = ledger.accept_one(source, destination, 1)
        ledger.drain()
        # In the queue although it has ended: neither outcome can be written a second time.
        ledger.connection.execute(
            "INSERT INTO queue (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount,"
            " accepted_at) SELECT 1, position, id, source_wallet_id, destination_wallet_id, amount, created_at"
            " FROM transfers WHERE id = %s",
            (ended,),
        )
        behind = ledger.accept_one(source, destination, 1)
        ledger.drain()
        assert ledger.value("SELECT stopped_at IS NOT NULL FROM lanes WHERE lane = 1")
        assert ledger.ending(behind) is None
        assert ledger.balance(destination) == 1


class TestSweep:
    def test_works_a_forgotten_lane_without_a_broker(self, ledger: Ledger) -> None:
        transfer_id = ledger.accept_one(ledger.wallet(holding=5), ledger.wallet(), 5)
        worker = LaneWorker(database_url=ledger.database_url, wake_ups=WakeUps(NO_BROKER))
        assert sweep(worker, age_seconds=0) == 1
        worker.disconnect()
        assert ledger.ending(transfer_id) == "succeeded"

    def test_leaves_alone_what_is_young(self, ledger: Ledger) -> None:
        ledger.accept_one(ledger.wallet(holding=5), ledger.wallet(), 5)
        worker = LaneWorker(database_url=ledger.database_url, wake_ups=WakeUps(NO_BROKER))
        assert sweep(worker, age_seconds=3_600) == 0
        worker.disconnect()


def mark(ledger: Ledger, *, age: timedelta, holder_id: UUID | None = None) -> None:
    """Leave the mark of a holder in the lane."""
    ledger.connection.execute(
        "UPDATE lanes SET busy_by = %s, busy_since = clock_timestamp() - %s WHERE lane = 1",
        (holder_id or new_id(), age),
    )


def accept_some(ledger: Ledger, count: int) -> UUID:
    """Have as many transfers of one wallet wait in lane 1; say which wallet's."""
    source, destination = ledger.wallet(holding=count), ledger.wallet()
    ledger.accept([ledger.request(source, destination, 1) for _ in range(count)])
    return source


def batches(ledger: Ledger, source: UUID) -> list[int]:
    """Say how many transfers out of a wallet each commit applied, in order."""
    rows = ledger.connection.execute(
        "SELECT count(*) FROM events JOIN transfers ON transfers.id = transfer_id"
        " WHERE version = 2 AND source_wallet_id = %s GROUP BY events.xmin ORDER BY min(number)",
        (source,),
    ).fetchall()
    return [count for (count,) in rows]


def _kill_when_waiting(killer: psycopg.Connection, backend_pid: int) -> None:
    """End a server process once it waits for a lock."""
    waits = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    while killer.execute(waits, (backend_pid,)).fetchone() is None:
        pass
