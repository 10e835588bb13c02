"""Is a head found at once behind rows that an open snapshot keeps, and still seen what comes late before it?"""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import pytest

from shared.database.acceptance import ACCEPT
from shared.database.backlog import IS_LONGER
from shared.database.connections import WORKER, connect
from shared.database.horizon import drawing, read_horizon
from shared.database.ledger import READ_HEAD
from shared.database.looks import FORGOTTEN_LANES, HAS_WORK
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from tests.eventually import eventually
from tests.ledger import CURRENCY, Ledger
from tests.query_plans import nodes
from worker.upkeep.horizon import advance_horizon

DEAD_ROWS: Final = 4_000
BLOCKS_MAX: Final = 30
"""Of the lane, the horizon and a few rows; the dead rows alone are more than ten times as many."""

LOOKS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "the head": (READ_HEAD, {"lane": 1, "limit": 1_000}),
    "whether there is work": (HAS_WORK, {"lane": 1}),
    "which lanes are forgotten": (FORGOTTEN_LANES, {"age_seconds": 1}),
    "whether the queue is too long": (str(IS_LONGER).replace(":limit", "%(limit)s"), {"limit": 100_000}),
}


@contextmanager
def snapshot_held(ledger: Ledger) -> Generator[None]:
    """Keep every row that is dead from now on, as a backup does."""
    with connect(ledger.database_url, application_name="backup", timeouts=WORKER) as backup, backup.transaction():
        backup.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        backup.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        backup.execute("SELECT FROM queue")
        yield


@contextmanager
def accepting(ledger: Ledger) -> Generator[tuple[psycopg.Connection, int]]:
    """Draw a position as intake does, in a transaction that the block ends."""
    with psycopg.connect(ledger.database_url) as other:
        row = other.execute("SELECT nextval('transfer_position')").fetchone()
        assert row is not None
        yield other, int(row[0])


def put_in_queue(other: psycopg.Connection, ledger: Ledger, position: int) -> None:
    """Write what was accepted at a position that was drawn before."""
    source_id, destination_id = ledger.issuance_id, ledger.wallet()
    owned = {"owner_ids": [OPERATORS_OWNER_ID], "destination_owner_ids": [OPERATORS_OWNER_ID]}
    wallets = {"source_ids": [source_id], "destination_ids": [destination_id], "amounts": [1], "currencies": [CURRENCY]}
    absent: dict[str, list[None]] = {
        name: [None] for name in ("references", "notes", "metadata", "keys", "fingerprints", "batch_ids")
    }
    where = {"ids": [new_id()], "positions": [position], "lanes": [1]}
    other.execute(ACCEPT, {**where, **owned, **wallets, **absent})


def blocks_read(connection: psycopg.Connection, statement: str, parameters: Mapping[str, Any]) -> int:
    """Count the blocks of 8 KiB that a statement looks into."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode()
    ((explained,),) = connection.execute(explain, parameters).fetchall()
    top = next(iter(nodes(explained[0]["Plan"])))
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


@pytest.fixture
def kept(ledger: Ledger) -> Generator[Ledger]:
    """A ledger whose queue is empty but for dead rows that a snapshot keeps."""
    source_id, destination_id = ledger.issuance_id, ledger.wallet()
    with snapshot_held(ledger):
        ledger.accept([ledger.request(source_id, destination_id, 1) for _ in range(DEAD_ROWS)])
        advance_horizon(ledger.connection)
        ledger.drain()
        yield ledger


@pytest.mark.parametrize(("statement", "parameters"), LOOKS.values(), ids=LOOKS)
def test_dead_rows_are_not_walked_over(kept: Ledger, statement: str, parameters: Mapping[str, Any]) -> None:
    assert blocks_read(kept.connection, statement, parameters) <= BLOCKS_MAX


def test_what_is_looked_at_would_show_it_if_they_were(kept: Ledger) -> None:
    kept.connection.execute("UPDATE lanes SET head_from = 0")
    assert blocks_read(kept.connection, HAS_WORK, {"lane": 1}) > 2 * BLOCKS_MAX


class TestHorizon:
    def test_waits_for_whoever_has_drawn_a_position(self, ledger: Ledger) -> None:
        with accepting(ledger) as (other, position):
            ledger.accept_one(ledger.issuance_id, ledger.wallet(), 1)
            waiting = threading.Thread(target=lambda: advanced_by_another(ledger))
            waiting.start()
            eventually(lambda: watched(ledger))
            assert read_horizon(ledger.connection) < position
            other.rollback()
            waiting.join()
        assert read_horizon(ledger.connection) > position

    def test_gives_up_on_whoever_takes_long(self, ledger: Ledger) -> None:
        before = read_horizon(ledger.connection)
        with accepting(ledger):
            assert not advance_horizon(ledger.connection)
        assert read_horizon(ledger.connection) == before
        assert advance_horizon(ledger.connection)

    def test_a_backup_does_not_hold_it_up(self, ledger: Ledger) -> None:
        ledger.accept_one(ledger.issuance_id, ledger.wallet(), 1)
        with snapshot_held(ledger):
            assert advance_horizon(ledger.connection)
        assert read_horizon(ledger.connection) > 0


def test_what_becomes_visible_late_is_applied_although_later_ones_were(ledger: Ledger) -> None:
    """Positions become visible out of order: the one that was drawn first is committed last."""
    with accepting(ledger) as (other, position):
        later = ledger.accept_one(ledger.issuance_id, ledger.wallet(), 1)
        assert not advance_horizon(ledger.connection)
        ledger.drain()
        assert ledger.ending(later) == "succeeded"
        put_in_queue(other, ledger, position)
        other.commit()
    assert ledger.drain().applied == 1
    assert ledger.value("SELECT count(*) FROM queue") == 0
    assert ledger.violations() == []


def advanced_by_another(ledger: Ledger) -> None:
    """Move the horizon on over a connection of one's own, as upkeep does: again where it took long."""
    with connect(ledger.database_url, application_name="horizon", timeouts=WORKER) as connection:
        while not advance_horizon(connection):
            pass


def watched(ledger: Ledger) -> bool:
    """Say whether somebody waits for those who draw positions."""
    is_looking = "SELECT FROM pg_stat_activity WHERE application_name = 'horizon' AND query LIKE '%pg_locks%'"
    return bool(ledger.connection.execute(is_looking).rowcount) and bool(drawing(ledger.connection))
