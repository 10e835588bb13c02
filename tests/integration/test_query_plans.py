"""Does what callers ask all day stay quick as the ledger grows? The plans of its statements, over 60,000 transfers."""

from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hishab.embedded import PrivatePostgres
from shared.database.acceptance import ACCEPT, READ_RECORDS, RESOLVE
from shared.database.backlog import is_longer_than
from shared.database.batch_acceptance import FIND_EARLIER, READ_RECORD, READ_TRANSFER_IDS
from shared.database.batches import BatchRecord, read_batch, read_last_queued, read_standing
from shared.database.connections import WORKER, connect
from shared.database.endings import READ_ENDED
from shared.database.feed import read_feed
from shared.database.ledger import READ_HEAD
from shared.database.looks import HAS_WORK
from shared.database.transfers import TransferFilters, list_batch_transfers, list_transfers, read_transfers
from shared.database.wallets import list_entries
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.transfer import Status
from tests.query_plans import Read, complaints, filled, sent_by

PAGE_ROWS: Final = 20
SCANNED_OF_A_ROW_MAX: Final = 6
"""A transfer, its ending, its place in one of two lanes; from either end."""

SENDER: Final = UUID(int=10_000)
"""A person who has paid 10,000 times, all to the same, and waits for nothing."""
PAYEE: Final = UUID(int=10_001)
PERSON: Final = UUID(int=10_002)
"""One of a thousand who pay each other; some of what they paid is queued."""
STRANGER: Final = UUID(int=9)
"""Somebody who has never paid, nor was paid."""
BATCH: Final = BatchRecord(
    id=UUID(int=55_000),
    owner_id=OPERATORS_OWNER_ID,
    first_position=54_501,
    last_position=55_500,
    total=750,
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
)
"""One of 50,000, all of them the operators'; half of its transfers are queued."""

# 60,000 transfers, of which the last 5,000 are queued, in two lanes. Three of four are the operators', from one wallet
# of theirs to another; the others are those of persons.
LEDGER: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO users (id, name, email, pin_hash, created_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'Rina', n || '@example.org', '', now()
    FROM generate_series(10000, 60000) AS n
    """,
    """
    INSERT INTO wallets (id, owner_id, kind, currency, external_id, balance, floor, entry_count, created_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, '00000000-0000-0000-0000-000000000001', 'operator', 'CZK', n, 0, 0, 0, now()
    FROM generate_series(1, 5000) AS n
    UNION ALL
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, 'personal', 'CZK', NULL, 0, 0, 0, now()
    FROM generate_series(10000, 60000) AS n
    """,
    """
    CREATE TEMPORARY TABLE paid AS
    SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id, lpad(to_hex(source), 32, '0')::uuid AS source_id,
           lpad(to_hex(destination), 32, '0')::uuid AS destination_id, n % 4 > 0 AS is_operators
    FROM generate_series(1, 60000) AS n
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 4 > 0 THEN 1 + n % 10 WHEN n <= 40000 THEN 10000 ELSE 10002 + n / 4 % 1000 END,
               CASE WHEN n % 4 > 0 THEN 11 + n % 10 WHEN n <= 40000 THEN 10001 ELSE 10002 + (n / 4 + 1) % 1000 END
    ) AS wallets (source, destination)
    """,
    """
    INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                           amount, currency, idempotency_key, fingerprint, reference, batch_id, created_at)
    SELECT id, n, CASE WHEN is_operators THEN '00000000-0000-0000-0000-000000000001' ELSE source_id END,
           CASE WHEN is_operators THEN '00000000-0000-0000-0000-000000000001' ELSE destination_id END,
           source_id, destination_id, 1, 'CZK', CASE WHEN batch_id IS NULL THEN 'key-' || n END,
           CASE WHEN batch_id IS NULL THEN ''::bytea END, 'reference ' || n, batch_id, now()
    FROM paid
    CROSS JOIN LATERAL (
        SELECT CASE WHEN is_operators AND n BETWEEN 54501 AND 55500
                    THEN '00000000-0000-0000-0000-00000000d6d8'::uuid END
    ) AS _ (batch_id)
    ORDER BY n
    """,
    """
    INSERT INTO transfer_batches (id, owner_id, idempotency_key, fingerprint, first_position, last_position, total,
                                  created_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, '00000000-0000-0000-0000-000000000001', 'batch-' || n, '',
           n - 499, n + 500, CASE WHEN n = 55000 THEN 750 ELSE 1 END, now()
    FROM generate_series(10000, 60000) AS n
    """,
    """
    INSERT INTO events (id, lane, number, type, transfer_id, version, failure_code, created_at,
                        owner_id, destination_owner_id, position)
    SELECT paid.id, 1, n, CASE WHEN failed THEN 'transfer.failed' ELSE 'transfer.succeeded' END, paid.id, 2,
           CASE WHEN failed THEN 'insufficient_funds' END, now(),
           owner_id, CASE WHEN NOT failed THEN nullif(destination_owner_id, owner_id) END, n
    FROM paid JOIN transfers USING (id) CROSS JOIN LATERAL (SELECT n % 5000 < 2) AS _ (failed)
    WHERE n <= 55000 ORDER BY n
    """,
    """
    INSERT INTO entries (wallet_id, number, transfer_id, amount, balance_after, created_at)
    SELECT wallet_id, row_number() OVER (PARTITION BY wallet_id ORDER BY n), id, amount, 0, now()
    FROM paid CROSS JOIN LATERAL (VALUES (source_id, -1), (destination_id, 1)) AS ends (wallet_id, amount)
    WHERE n <= 55000 ORDER BY n
    """,
    """
    INSERT INTO queue (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount, accepted_at)
    SELECT 1 + n / 4 % 2, n, id, source_id, destination_id, 1, now() FROM paid WHERE n > 55000 ORDER BY n
    """,
    "INSERT INTO lanes (lane) VALUES (2)",
    "UPDATE lanes SET event_number = 55000, newest_position = 55000 WHERE lane = 1",
    "ANALYZE",
)


@pytest.fixture(scope="module")
def database_url(postgres: PrivatePostgres, template_database: str) -> Iterator[str]:
    """A ledger of some size, only to be read."""
    with filled(postgres, template_database, LEDGER) as url:
        yield url


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def listing(viewer_id: UUID, *, before: int | None = None, **equal: Any) -> Read:  # noqa: ANN401 (a filter's own)
    filters = TransferFilters(
        **{"status": None, "reference": None, "idempotency_key": None, "wallet_id": None, **equal}
    )

    def read(tx: AsyncConnection) -> Awaitable[object]:
        return list_transfers(tx, viewer_id=viewer_id, filters=filters, before=before, limit=PAGE_ROWS)

    return read


VIEWERS: Final = {
    "operators": OPERATORS_OWNER_ID,
    "sender": SENDER,
    "payee": PAYEE,
    "person": PERSON,
    "stranger": STRANGER,
}

FILTERS: Final[dict[str, dict[str, Any]]] = {
    "all": {},
    "a later page": {"before": 30_000},
    "queued": {"status": Status.QUEUED},
    "succeeded": {"status": Status.SUCCEEDED},
    "failed": {"status": Status.FAILED},
    "a later page of failed": {"status": Status.FAILED, "before": 30_000},
    "of a key": {"idempotency_key": "key-40"},
    "of a reference": {"reference": "reference 40"},
    "queued of a reference": {"status": Status.QUEUED, "reference": "reference 59996"},
    "succeeded of a reference": {"status": Status.SUCCEEDED, "reference": "reference 40"},
}


@pytest.mark.parametrize("equal", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("viewer_id", VIEWERS.values(), ids=VIEWERS)
def test_a_list_reads_a_page(
    database_url: str, connection: psycopg.Connection, viewer_id: UUID, equal: dict[str, Any]
) -> None:
    ((statement, parameters),) = sent_by(database_url, listing(viewer_id, **equal))
    scanned_max = 2 * PAGE_ROWS * SCANNED_OF_A_ROW_MAX
    assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize("wallet_id", [UUID(int=1), UUID(int=11), UUID(int=5_000)], ids=["payer", "payee", "idle"])
@pytest.mark.parametrize("status", [None, Status.SUCCEEDED, Status.QUEUED])
def test_a_list_of_an_operators_wallet_reads_a_page(
    database_url: str, connection: psycopg.Connection, wallet_id: UUID, status: Status | None
) -> None:
    read = listing(OPERATORS_OWNER_ID, wallet_id=wallet_id, status=status)
    ((statement, parameters),) = sent_by(database_url, read)
    assert not complaints(connection, statement, parameters, scanned_max=4 * PAGE_ROWS * SCANNED_OF_A_ROW_MAX)


@pytest.mark.parametrize("numbers", [{}, {0: 0, 1: 30_000}, {1: 55_000, 2: 0}], ids=["first", "later", "end"])
@pytest.mark.parametrize("viewer_id", VIEWERS.values(), ids=VIEWERS)
def test_a_feed_looks_at_what_is_the_owners(
    database_url: str, connection: psycopg.Connection, viewer_id: UUID, numbers: dict[int, int]
) -> None:
    def read(tx: AsyncConnection) -> Awaitable[object]:
        return read_feed(tx, viewer_id, after=numbers, types=None, limit=PAGE_ROWS)

    ((statement, parameters),) = sent_by(database_url, read)
    # The lanes, and of each of them what the owner paid and what they were paid.
    assert not complaints(connection, statement, parameters, scanned_max=3 + 2 * (PAGE_ROWS + 1))


def test_what_is_queued_is_listed_whatever_its_lane(database_url: str, connection: psycopg.Connection) -> None:
    in_queue = "SELECT transfer_id FROM queue WHERE source_wallet_id = %s ORDER BY position DESC"
    for viewer_id in (PERSON, UUID(int=PERSON.int + 1), SENDER):
        ((statement, parameters),) = sent_by(database_url, listing(viewer_id, status=Status.QUEUED))
        listed = [row[0] for row in connection.execute(statement.encode(), parameters)]
        assert listed == [row[0] for row in connection.execute(in_queue, (viewer_id,))]
        assert bool(listed) == (viewer_id != SENDER)


def test_transfers_are_found_by_their_ids(database_url: str, connection: psycopg.Connection) -> None:
    ids = [UUID(int=n) for n in range(40, 60)]
    ((statement, parameters),) = sent_by(database_url, lambda tx: read_transfers(tx, ids))
    assert not complaints(connection, statement, parameters, scanned_max=2 * len(ids))


READS: Final[dict[str, tuple[Read, int]]] = {
    "a batch": (lambda tx: read_batch(tx, BATCH.id, owner_id=OPERATORS_OWNER_ID), 1),
    "how a batch stands": (lambda tx: read_standing(tx, BATCH), 2 * BATCH.total),
    # The lanes, and from the end of the batch in each the last of it, past those of others.
    "what of a batch to wait for": (lambda tx: read_last_queued(tx, BATCH), 3 + 2 * 2 * 4),
    # A page may take looking at the whole batch, which is a thousand at most.
    "a page of a batch": (lambda tx: list_batch_transfers(tx, BATCH, after=None, limit=PAGE_ROWS), 2 * BATCH.total),
    "a later one": (lambda tx: list_batch_transfers(tx, BATCH, after=55_000, limit=PAGE_ROWS), BATCH.total),
    # The lanes, and both ends of what is queued in each of them.
    "whether the queue is too long": (lambda tx: is_longer_than(tx, 100_000), 3 + 2 * 3),
}


@pytest.mark.parametrize(("read", "scanned_max"), READS.values(), ids=READS)
def test_what_is_asked_again_and_again_looks_at_little(
    database_url: str, connection: psycopg.Connection, read: Read, scanned_max: int
) -> None:
    ((statement, parameters),) = sent_by(database_url, read)
    assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize("before", [None, 3_000])
def test_a_list_of_entries_reads_a_page(database_url: str, connection: psycopg.Connection, before: int | None) -> None:
    ((statement, parameters),) = sent_by(
        database_url, lambda tx: list_entries(tx, UUID(int=1), before=before, limit=PAGE_ROWS)
    )
    assert not complaints(connection, statement, parameters, scanned_max=PAGE_ROWS)


ROWS: Final = 1_000

GROUP: Final[dict[str, list[Any]]] = {
    "ids": [UUID(int=100_000 + n) for n in range(ROWS)],
    "positions": [100_000 + n for n in range(ROWS)],
    "lanes": [1 + n % 2 for n in range(ROWS)],
    "owner_ids": [PERSON] * ROWS,
    "destination_owner_ids": [PAYEE] * ROWS,
    "source_ids": [PERSON] * ROWS,
    "destination_ids": [PAYEE] * ROWS,
    "amounts": [1] * ROWS,
    "currencies": ["CZK"] * ROWS,
    "references": [None] * ROWS,
    "notes": [None] * ROWS,
    "metadata": [None] * ROWS,
    "keys": [f"key-of-group-{n}" for n in range(ROWS)],
    "fingerprints": [b""] * ROWS,
    "batch_ids": [None] * ROWS,
}

STATEMENTS: Final[dict[str, tuple[LiteralString, dict[str, Any], int]]] = {
    "which of a batch have ended": (READ_ENDED, {"ids": [UUID(int=n) for n in range(54_950, 55_050)]}, 51),
    "what a group refers to": (
        RESOLVE,
        {
            "owner_id": [OPERATORS_OWNER_ID] * 50 + [SENDER] * 50,
            "idempotency_key": [f"key-{n}" for n in range(100)],
            "source_wallet_id": [UUID(int=1)] * 50 + [None] * 50,
            "destination_wallet_id": [UUID(int=n + 2) for n in range(100)],
            "destination_email": [None] * 100,
            "currency": ["CZK"] * 100,
        },
        100 * SCANNED_OF_A_ROW_MAX,
    ),
    "what a group refers to by emails": (
        RESOLVE,
        {
            "owner_id": [UUID(int=10_000 + n) for n in range(100)],
            "idempotency_key": [f"new-{n}" for n in range(100)],
            "source_wallet_id": [None] * 100,
            "destination_wallet_id": [None] * 100,
            "destination_email": [f"{20_000 + n}@example.org" for n in range(100)],
            "currency": ["CZK"] * 100,
        },
        100 * SCANNED_OF_A_ROW_MAX,
    ),
    "accepting a group": (ACCEPT, GROUP, ROWS),
    "the records behind replays": (READ_RECORDS, {"ids": [UUID(int=n) for n in range(40, 140)]}, 200),
    "the keys of batches": (
        FIND_EARLIER,
        {"owner_ids": [OPERATORS_OWNER_ID] * 50, "keys": [f"batch-{n}" for n in range(9_975, 10_025)]},
        25,
    ),
    "the record behind the replay of a batch": (READ_RECORD, {"id": BATCH.id}, 2),
    "what a batch is made of": (
        READ_TRANSFER_IDS,
        {"id": BATCH.id, "owner_id": BATCH.owner_id, "first_position": 54_501, "last_position": 55_500},
        750,
    ),
}


@pytest.mark.parametrize(("statement", "parameters", "scanned_max"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_looks_at_little(
    connection: psycopg.Connection, statement: LiteralString, parameters: dict[str, Any], scanned_max: int
) -> None:
    assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


# A lane goes by an index whatever the planner believes of the queue; its own row is looked at as well.
LANES: Final[dict[str, tuple[LiteralString, dict[str, Any], int]]] = {
    "the head of a lane": (READ_HEAD, {"lane": 1, "limit": 1_000}, 1_000 + 2),
    "whether there is work": (HAS_WORK, {"lane": 1}, 1 + 1),
}


@pytest.mark.parametrize(("statement", "parameters", "scanned_max"), LANES.values(), ids=LANES)
def test_a_lane_looks_at_little(
    database_url: str, statement: LiteralString, parameters: dict[str, Any], scanned_max: int
) -> None:
    with connect(database_url, application_name="test", timeouts=WORKER) as connection:
        assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


class TestTheCheck:
    """What cannot fail is worth nothing."""

    def test_sees_that_a_table_is_read_as_a_whole(self, connection: psycopg.Connection) -> None:
        """How received transfers were looked for once: among all that one owner moved between their own wallets."""
        statement = (
            "SELECT id FROM transfers WHERE destination_owner_id = %(me)s AND owner_id <> %(me)s"
            " ORDER BY position DESC LIMIT 20"
        )
        (wrong, rows) = complaints(connection, statement, {"me": OPERATORS_OWNER_ID}, scanned_max=240)
        assert wrong == "reads all of transfers"
        assert rows == "looks at 60000 rows, which is more than 240"

    def test_sees_that_each_is_compared_with_each(self, connection: psycopg.Connection) -> None:
        """How what was accepted would be put together with its lanes, were it not by their ids."""
        statement = "SELECT FROM lanes JOIN generate_series(1, 1000) AS n ON n < lane"
        (rows,) = complaints(connection, statement, {}, scanned_max=1_000)
        assert rows == "looks at 3002 rows, which is more than 1000"

    def test_sees_that_an_index_is_read_as_a_whole(self, database_url: str, connection: psycopg.Connection) -> None:
        """What a filter without an index costs (docs/decisions/0015)."""
        ((statement, parameters),) = sent_by(database_url, listing(SENDER, wallet_id=UUID(int=5_000)))
        (rows,) = complaints(connection, statement, parameters, scanned_max=240)
        assert rows == "looks at 20000 rows, which is more than 240"
