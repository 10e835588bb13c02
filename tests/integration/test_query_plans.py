"""Does what callers ask all day stay quick as the ledger grows? The plans of its statements, over 60,000 transfers."""

from collections.abc import Awaitable
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.backlog import is_longer_than
from shared.database.batches import read_batch, read_last_queued, read_standing
from shared.database.feed import read_feed
from shared.database.transfers import TransferFilters, list_batch_transfers, list_transfers, read_transfers
from shared.database.wallets import list_entries
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.transfer import Status
from tests.integration.large_ledger import BATCH, PAYEE, PERSON, SENDER, STRANGER
from tests.query_plans import Read, complaints, sent_by

PAGE_ROWS: Final = 20
SCANNED_OF_A_ROW_MAX: Final = 6
"""A transfer, its ending, its place in one of two lanes; from either end."""


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
    large_ledger: str, large_connection: psycopg.Connection, viewer_id: UUID, equal: dict[str, Any]
) -> None:
    ((statement, parameters),) = sent_by(large_ledger, listing(viewer_id, **equal))
    scanned_max = 2 * PAGE_ROWS * SCANNED_OF_A_ROW_MAX
    assert not complaints(large_connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize("wallet_id", [UUID(int=1), UUID(int=11), UUID(int=5_000)], ids=["payer", "payee", "idle"])
@pytest.mark.parametrize("status", [None, Status.SUCCEEDED, Status.QUEUED])
def test_a_list_of_an_operators_wallet_reads_a_page(
    large_ledger: str, large_connection: psycopg.Connection, wallet_id: UUID, status: Status | None
) -> None:
    read = listing(OPERATORS_OWNER_ID, wallet_id=wallet_id, status=status)
    ((statement, parameters),) = sent_by(large_ledger, read)
    assert not complaints(large_connection, statement, parameters, scanned_max=4 * PAGE_ROWS * SCANNED_OF_A_ROW_MAX)


@pytest.mark.parametrize("numbers", [{}, {0: 0, 1: 30_000}, {1: 55_000, 2: 0}], ids=["first", "later", "end"])
@pytest.mark.parametrize("viewer_id", VIEWERS.values(), ids=VIEWERS)
def test_a_feed_looks_at_what_is_the_owners(
    large_ledger: str, large_connection: psycopg.Connection, viewer_id: UUID, numbers: dict[int, int]
) -> None:
    def read(tx: AsyncConnection) -> Awaitable[object]:
        return read_feed(tx, viewer_id, after=numbers, types=None, limit=PAGE_ROWS)

    ((statement, parameters),) = sent_by(large_ledger, read)
    # The lanes, and of each of them what the owner paid and what they were paid.
    assert not complaints(large_connection, statement, parameters, scanned_max=3 + 2 * (PAGE_ROWS + 1))


def test_what_is_queued_is_listed_whatever_its_lane(large_ledger: str, large_connection: psycopg.Connection) -> None:
    in_queue = "SELECT transfer_id FROM queue WHERE source_wallet_id = %s ORDER BY position DESC"
    for viewer_id in (PERSON, UUID(int=PERSON.int + 1), SENDER):
        ((statement, parameters),) = sent_by(large_ledger, listing(viewer_id, status=Status.QUEUED))
        listed = [row[0] for row in large_connection.execute(statement.encode(), parameters)]
        assert listed == [row[0] for row in large_connection.execute(in_queue, (viewer_id,))]
        assert bool(listed) == (viewer_id != SENDER)


def test_transfers_are_found_by_their_ids(large_ledger: str, large_connection: psycopg.Connection) -> None:
    ids = [UUID(int=n) for n in range(40, 60)]
    ((statement, parameters),) = sent_by(large_ledger, lambda tx: read_transfers(tx, ids))
    assert not complaints(large_connection, statement, parameters, scanned_max=2 * len(ids))


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
    large_ledger: str, large_connection: psycopg.Connection, read: Read, scanned_max: int
) -> None:
    ((statement, parameters),) = sent_by(large_ledger, read)
    assert not complaints(large_connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize("before", [None, 3_000])
def test_a_list_of_entries_reads_a_page(
    large_ledger: str, large_connection: psycopg.Connection, before: int | None
) -> None:
    ((statement, parameters),) = sent_by(
        large_ledger, lambda tx: list_entries(tx, UUID(int=1), before=before, limit=PAGE_ROWS)
    )
    assert not complaints(large_connection, statement, parameters, scanned_max=PAGE_ROWS)


class TestTheCheck:
    """What cannot fail is worth nothing."""

    def test_sees_that_a_table_is_read_as_a_whole(self, large_connection: psycopg.Connection) -> None:
        """How received transfers were looked for once: among all that one owner moved between their own wallets."""
        statement = (
            "SELECT id FROM transfers WHERE destination_owner_id = %(me)s AND owner_id <> %(me)s"
            " ORDER BY position DESC LIMIT 20"
        )
        (wrong, rows) = complaints(large_connection, statement, {"me": OPERATORS_OWNER_ID}, scanned_max=240)
        assert wrong == "reads all of transfers"
        assert rows == "looks at 60000 rows, which is more than 240"

    def test_sees_that_each_is_compared_with_each(self, large_connection: psycopg.Connection) -> None:
        """How what was accepted would be put together with its lanes, were it not by their ids."""
        statement = "SELECT FROM lanes JOIN generate_series(1, 1000) AS n ON n < lane"
        (rows,) = complaints(large_connection, statement, {}, scanned_max=1_000)
        assert rows == "looks at 3002 rows, which is more than 1000"

    def test_sees_that_an_index_is_read_as_a_whole(
        self, large_ledger: str, large_connection: psycopg.Connection
    ) -> None:
        """What a filter without an index costs (docs/decisions/0015)."""
        ((statement, parameters),) = sent_by(large_ledger, listing(SENDER, wallet_id=UUID(int=5_000)))
        (rows,) = complaints(large_connection, statement, parameters, scanned_max=240)
        assert rows == "looks at 20000 rows, which is more than 240"
