"""Do accepting and applying stay quick as the ledger grows, and by plans that were made before it did?"""

from collections.abc import Iterator
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import pytest

from hishab.embedded import PrivatePostgres
from shared.database.acceptance import ACCEPT, READ_RECORDS, RESOLVE
from shared.database.acceptance_at_once import ACCEPT_AT_ONCE
from shared.database.batch_acceptance import FIND_EARLIER, READ_RECORD, READ_TRANSFER_IDS
from shared.database.connections import WORKER, connect
from shared.database.endings import READ_ENDED
from shared.database.ledger import DELETE_APPLIED, LOCK_WALLETS, READ_HEAD
from shared.database.looks import COUNT_WAITING, HAS_WORK
from shared.domain.owner import OPERATORS_OWNER_ID
from tests.integration.large_ledger import BATCH, LEDGER, PAYEE, PERSON, SENDER
from tests.query_plans import Bounded, complaints, looked_at_by, planned_early

SCANNED_OF_A_ROW_MAX: Final = 6
"""A user, wallets and a transfer before."""

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

GROUP_AT_ONCE: Final[dict[str, Any]] = {
    "owner_id": GROUP["owner_ids"],
    "idempotency_key": [f"key-of-group-at-once-{n}" for n in range(ROWS)],
    "source_wallet_id": GROUP["source_ids"],
    "destination_wallet_id": GROUP["destination_ids"],
    "destination_email": [None] * ROWS,
    "currency": GROUP["currencies"],
    "transfer_id": [UUID(int=200_000 + n) for n in range(ROWS)],
    "amount_minor": GROUP["amounts"],
    "reference": GROUP["references"],
    "note": GROUP["notes"],
    "metadata": GROUP["metadata"],
    "fingerprint": GROUP["fingerprints"],
    "lane_count": 2,
    "is_full": False,
}

STATEMENTS: Final[dict[str, Bounded]] = {
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
    "accepting a group at once": (ACCEPT_AT_ONCE, GROUP_AT_ONCE, ROWS * SCANNED_OF_A_ROW_MAX),
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


# A lane goes by an index whatever the planner believes of the queue; its own row is looked at as well.
LANES: Final[dict[str, Bounded]] = {
    "the head of a lane": (READ_HEAD, {"lane": 1, "limit": 1_000}, 1_000 + 2),
    "whether there is work": (HAS_WORK, {"lane": 1}, 1 + 1),
    "how much waits": (COUNT_WAITING, {"lane": 1, "limit": 1_000}, 1_000 + 1),
    # Found, and locked.
    "the wallets of a batch": (LOCK_WALLETS, {"ids": [UUID(int=n) for n in range(1, 101)]}, 2 * 100),
    "what was applied": (DELETE_APPLIED, {"lane": 1, "positions": [55_001 + 4 * n for n in range(2, 102)]}, 100),
}

PLANNED: Final = STATEMENTS | LANES

# How keys were looked for once: in an empty table, one index that begins with the owner seems as good as another.
BY_EITHER_INDEX: Final[Bounded] = (
    "SELECT id FROM transfers WHERE owner_id = %(owner_id)s AND idempotency_key = %(key)s LIMIT 1",
    {"owner_id": SENDER, "key": "new"},
    1,
)


@pytest.fixture(scope="module")
def early(postgres: PrivatePostgres, template_database: str) -> Iterator[psycopg.Connection]:
    """The same ledger, and plans from before there was any."""
    statements = PLANNED | {"by either index": BY_EITHER_INDEX}
    with planned_early(postgres, template_database, LEDGER, statements) as connection:
        yield connection


@pytest.mark.parametrize(("statement", "parameters", "scanned_max"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_looks_at_little(
    large_connection: psycopg.Connection, statement: LiteralString, parameters: dict[str, Any], scanned_max: int
) -> None:
    assert not complaints(large_connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize(("statement", "parameters", "scanned_max"), LANES.values(), ids=LANES)
def test_a_lane_looks_at_little(
    large_ledger: str, statement: LiteralString, parameters: dict[str, Any], scanned_max: int
) -> None:
    with connect(large_ledger, application_name="test", timeouts=WORKER) as connection:
        assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


@pytest.mark.parametrize("name", PLANNED)
def test_a_statement_looks_at_little_by_a_plan_made_for_nothing(early: psycopg.Connection, name: str) -> None:
    _, parameters, scanned_max = PLANNED[name]
    assert looked_at_by(early, name, parameters) <= scanned_max


def test_a_plan_made_for_nothing_is_seen(early: psycopg.Connection) -> None:
    """What cannot fail is worth nothing."""
    _, parameters, _ = BY_EITHER_INDEX
    assert looked_at_by(early, "by either index", parameters) == 10_000
