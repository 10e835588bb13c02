"""Check a database after a scenario, and the sums of its money during one."""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from shared.database import invariants
from shared.database.connections import AUDIT, connect
from tests.clerk import Balance
from tests.load.checker import Entry, Faults, Row, Sent, check

LOOK_SECONDS = 1.0

READ_BALANCES = "SELECT id::text, balance, floor FROM wallets"
READ_LAST_POSITION = "SELECT coalesce(max(position), 0) FROM transfers"
COUNT_QUEUED = "SELECT count(*) FROM queue"

READ_TRANSFERS = """
SELECT transfers.id::text, transfers.idempotency_key, source_wallet_id::text, destination_wallet_id::text, amount,
       array(SELECT failure_code FROM events WHERE events.transfer_id = transfers.id ORDER BY number),
       row_number() OVER (ORDER BY ended.created_at, ended.lane, ended.number)
FROM transfers
LEFT JOIN events AS ended ON ended.transfer_id = transfers.id AND ended.version = 2
WHERE transfers.position > %s ORDER BY transfers.position
"""

READ_ENTRIES = """
SELECT entries.wallet_id::text, entries.transfer_id::text, entries.amount
FROM entries JOIN transfers ON transfers.id = entries.transfer_id
WHERE transfers.position > %s ORDER BY entries.wallet_id, entries.number
"""


@dataclass(slots=True, kw_only=True)
class Audited:
    """What is put together while a scenario runs, and what is found after it.

    Attributes:
        sent: To be added by the scenario: what was answered with a 202.
        faults: There once the block is left.
    """

    sent: list[Sent] = field(default_factory=list[Sent])
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How a ledger stood, with nothing queued.

    Attributes:
        last_position: Of all that had been accepted.
    """

    last_position: int
    balances: Mapping[str, Balance]


@contextmanager
def audited(database_url: str, *, whole: bool = True) -> Generator[Audited]:
    """Check everything that comes in while the block runs; it must end with an empty queue.

    Args:
        whole: Audit the rest of the ledger too, which takes as long as it is large.
    """
    result = Audited()
    with connect(database_url, application_name="bench-audit", timeouts=AUDIT) as connection:
        before = read_before(connection)
        with _summing(database_url) as seen:
            yield result
        violations = list(seen)
        if whole:
            violations.extend(str(violation) for violation in invariants.find_violations(connection))
        rows, entries = read_since(connection, before)
    result.faults = check(rows, entries=entries, before=before.balances, sent=result.sent, violations=violations)


def read_before(connection: psycopg.Connection) -> Before:
    """Note how a ledger stands; what is expected of the next transfers follows from it."""
    (queued,) = connection.execute(COUNT_QUEUED).fetchone() or (0,)
    assert queued == 0, f"{queued} transfers wait already: what is expected of the next ones cannot be said"
    (last_position,) = connection.execute(READ_LAST_POSITION).fetchone() or (0,)
    balances = connection.execute(READ_BALANCES).fetchall()
    return Before(
        last_position=int(last_position),
        balances={wallet: Balance(amount, floor) for wallet, amount, floor in balances},
    )


def read_since(connection: psycopg.Connection, before: Before) -> tuple[list[Row], list[Entry]]:
    """Read all transfers that were accepted since, and their entries."""
    rows = [
        Row(transfer_id, key, source, destination, amount, tuple(endings), turn)
        for transfer_id, key, source, destination, amount, endings, turn in connection.execute(
            READ_TRANSFERS, (before.last_position,)
        )
    ]
    entries = [Entry(*entry) for entry in connection.execute(READ_ENTRIES, (before.last_position,))]
    return rows, entries


def wrong_sums(connection: psycopg.Connection) -> list[str]:
    """Say where money does not sum to zero at this moment, and which wallets are below their floor."""
    truths = (invariants.CURRENCIES_SUM_TO_ZERO, invariants.WALLETS_KEEP_THEIR_FLOOR)
    return [str(row) for truth in truths for row in connection.execute(truth)]


@contextmanager
def _summing(database_url: str) -> Generator[Sequence[str]]:
    """Once a second, see that all money sums to zero and that no wallet is below its floor (G5 at every commit)."""
    stopping = threading.Event()
    seen: list[str] = []

    def look() -> None:
        with connect(database_url, application_name="bench-audit", timeouts=AUDIT) as connection:
            while not stopping.wait(LOOK_SECONDS):
                seen.extend(wrong_sums(connection))

    thread = threading.Thread(target=look, name="sums")
    thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        thread.join()
