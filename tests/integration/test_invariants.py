"""Does the audit see it when money is missing? Each truth is broken behind the database's back, and has to be named."""

from typing import Final, LiteralString
from uuid import UUID

import pytest

from shared.database.auditing import claim_audit
from shared.database.invariants import RANGE_ROWS, find_violations
from shared.identifiers import new_id
from tests.ledger import Ledger

# The truths hold, and are seen to be broken, also where every row is the first and the last of a range.
RANGES: Final = (RANGE_ROWS, 2, 1)


@pytest.fixture
def transfer_id(ledger: Ledger) -> UUID:
    """A transfer of 5 that succeeded, after one that failed, before one that waits."""
    source, destination = ledger.wallet(holding=8), ledger.wallet()
    ledger.accept_one(source, destination, 9)
    transfer_id = ledger.accept_one(source, destination, 5)
    ledger.drain()
    ledger.accept_one(source, destination, 1)
    assert ledger.violations() == []
    return transfer_id


# What money could go missing by, and the truths that are then broken.
BREAKS: dict[str, tuple[LiteralString, set[str]]] = {
    "a credit is gone": (
        "DELETE FROM entries WHERE transfer_id = %(id)s AND amount > 0",
        {"transfers_are_whole", "wallets_equal_last_entry"},
    ),
    "both entries are gone": (
        "DELETE FROM entries WHERE transfer_id = %(id)s",
        {"transfers_are_whole", "wallets_equal_last_entry"},
    ),
    "a credit went to somebody else": (
        "UPDATE entries SET wallet_id = gen_random_uuid(), number = 1 WHERE transfer_id = %(id)s AND amount > 0",
        {"transfers_are_whole", "wallets_equal_last_entry"},
    ),
    "an entry says another amount": (
        "UPDATE entries SET amount = amount + 1 WHERE transfer_id = %(id)s AND amount > 0",
        {"transfers_are_whole", "entries_follow"},
    ),
    "an entry has another number": (
        "UPDATE entries SET number = number + 1 WHERE transfer_id = %(id)s AND amount > 0",
        {"entries_follow", "wallets_equal_last_entry"},
    ),
    "a balance was touched": (
        (
            "UPDATE wallets SET balance = balance + 1"
            " WHERE id = (SELECT destination_wallet_id FROM transfers WHERE id = %(id)s)"
        ),
        {"wallets_equal_last_entry", "currencies_sum_to_zero"},
    ),
    "entries of a transfer that never was": (
        "UPDATE entries SET transfer_id = gen_random_uuid() WHERE transfer_id = %(id)s",
        {"transfers_are_whole", "entries_of_no_transfer"},
    ),
    "an accepted transfer is gone from the queue": (
        "DELETE FROM queue WHERE %(id)s::uuid IS NOT NULL",
        {"transfers_are_whole"},
    ),
    "a transfer that has ended is queued again": (
        (
            "INSERT INTO queue"
            " (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount, accepted_at)"
            " SELECT 1, position, id, source_wallet_id, destination_wallet_id, amount, created_at"
            " FROM transfers WHERE id = %(id)s"
        ),
        {"transfers_are_whole"},
    ),
    "the first entry of two is gone": (
        (
            "DELETE FROM entries WHERE number = 1"
            " AND wallet_id = (SELECT source_wallet_id FROM transfers WHERE id = %(id)s)"
        ),
        {"transfers_are_whole", "entries_follow"},
    ),
    "an ending is gone": ("DELETE FROM events WHERE transfer_id = %(id)s", {"transfers_are_whole"}),
}


@pytest.mark.parametrize("range_rows", RANGES)
@pytest.mark.parametrize(("statement", "broken"), BREAKS.values(), ids=BREAKS)
def test_is_named(
    ledger: Ledger, transfer_id: UUID, statement: LiteralString, broken: set[str], range_rows: int
) -> None:
    # Triggers off: what a defect in the database, or somebody with its password, could do.
    ledger.connection.execute("SET session_replication_role = replica")
    ledger.connection.execute(statement, {"id": transfer_id})
    violations = find_violations(ledger.connection, range_rows=range_rows)
    assert {violation["check"] for violation in violations} == broken


def test_a_balance_below_its_floor_is_named(ledger: Ledger, transfer_id: UUID) -> None:
    ledger.connection.execute("ALTER TABLE wallets DROP CONSTRAINT wallets_balance_not_below_floor")
    ledger.connection.execute(
        "UPDATE wallets SET floor = balance + 1 WHERE id = (SELECT source_wallet_id FROM transfers WHERE id = %(id)s)",
        {"id": transfer_id},
    )
    (violation,) = ledger.violations()
    assert violation["check"] == "wallets_keep_their_floor"


@pytest.mark.parametrize("range_rows", RANGES)
def test_what_holds_is_named_nowhere(ledger: Ledger, transfer_id: UUID, range_rows: int) -> None:
    assert not list(find_violations(ledger.connection, range_rows=range_rows))


def test_an_audit_that_never_ends_keeps_no_other_waiting(ledger: Ledger) -> None:
    asked = [new_id() for _ in range(3)]
    for audit_id in asked:
        ledger.connection.execute("INSERT INTO audits (id, requested_at) VALUES (%s, now())", (audit_id,))
    # None is ever finished, as if each raised.
    assert [claim_audit(ledger.connection) for _ in range(6)] == asked * 2
