"""Work a lane: take it, read the head of its queue, lock the wallets, and write down what was decided."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row, tuple_row

from shared.database.arrays import BigintArray, TextArray, UuidArray
from shared.domain.apply import Entry, QueuedTransfer, WalletState
from shared.domain.histogram import Histogram

ENTRY_TYPES: Final = ("uuid", "int8", "uuid", "int8", "int8", "timestamptz")
EVENT_TYPES: Final = (
    *("uuid", "int2", "int8", "text", "uuid", "int2", "text", "text", "timestamptz"),
    *("uuid", "uuid", "int8"),
)

# The statements of one application, in the order they run. Each has a snapshot younger than the lock before it:
# lock and read in one statement would return rows that the previous holder has just deleted (seen).

# The row of a lane is found by a stretch of lanes_pkey that is read from its end, where the newest version is: an
# equality is read from its beginning, over every version that an open snapshot keeps. So are wallets (decision 33).

# The holder's own: waits for whoever has only come to look, and would otherwise be turned out by them.
# FOR NO KEY UPDATE, so that intake is never in the way.
KEEP_LANE: LiteralString = """
SELECT lane, event_number, careful_transfers_left, unprocessable_in_a_row, stopped_at IS NOT NULL AS stopped,
       busy_by, clock_timestamp() - busy_since AS busy_for, (SELECT position FROM queue_horizon) AS horizon
FROM lanes
WHERE lane BETWEEN %(lane)s AND %(lane)s
ORDER BY lane DESC
LIMIT 1
FOR NO KEY UPDATE
"""

# The same for whoever comes: if it is held, they leave at once.
TAKE_LANE: LiteralString = KEEP_LANE + "SKIP LOCKED"

# Always from the head and never "after the last position seen": positions become visible out of order across API
# processes (faults.md, P3b). Also says what time it is for this application: never below the lane's previous one,
# since clocks step back, nor below the acceptance of anything in it. Index: queue_pkey, from where dead rows end.
READ_HEAD: LiteralString = """
SELECT position, transfer_id, source_wallet_id, destination_wallet_id, amount, attempts, accepted_at,
       greatest(clock_timestamp(), (
           SELECT last_applied_at FROM lanes WHERE lane BETWEEN %(lane)s AND %(lane)s ORDER BY lane DESC LIMIT 1
       )) AS read_at
FROM queue
WHERE lane = %(lane)s AND position >= (
    SELECT head_from FROM lanes WHERE lane BETWEEN %(lane)s AND %(lane)s ORDER BY lane DESC LIMIT 1
)
ORDER BY position
LIMIT %(limit)s
"""

# In order of id, whoever asks: 11 of 64 transactions deadlocked without the order, 0 of 5,119 with it.
# FOR NO KEY UPDATE, since FOR UPDATE would block whatever refers to the wallet by foreign key.
# Index: wallets_pkey, from the end of each wallet's stretch.
LOCK_WALLETS: LiteralString = """
SELECT wallet.id, balance, floor, entry_count, owner_id, place
FROM (SELECT id FROM unnest(%(ids)b::uuid[]) AS asked (id) ORDER BY id) AS asked
CROSS JOIN LATERAL (
    SELECT wallets.id, balance, floor, entry_count, owner_id, wallets.ctid::text AS place
    FROM wallets
    WHERE wallets.id BETWEEN asked.id AND asked.id
    ORDER BY wallets.id DESC
    LIMIT 1
    FOR NO KEY UPDATE
) AS wallet
"""

# By their places, where they stay while they are locked: nothing is looked for. No clause on the id, or the planner may
# read all of an index instead, and with it every version that an open snapshot keeps.
UPDATE_WALLETS: LiteralString = """
UPDATE wallets SET balance = changed.balance, entry_count = changed.entry_count
FROM unnest(%(places)b::text[]::tid[], %(balances)b::bigint[], %(entry_counts)b::bigint[])
     AS changed (place, balance, entry_count)
WHERE wallets.ctid = changed.place
"""

COPY_ENTRIES: LiteralString = """
COPY entries (wallet_id, number, transfer_id, amount, balance_after, created_at) FROM STDIN (FORMAT BINARY)
"""

COPY_EVENTS: LiteralString = """
COPY events (id, lane, number, type, transfer_id, version, failure_code, defect, created_at,
             owner_id, destination_owner_id, position)
FROM STDIN (FORMAT BINARY)
"""

# Exactly the positions that were read and decided, never a range: a range also deletes what became visible in between
# (seen: an accepted transfer gone).
DELETE_APPLIED: LiteralString = "DELETE FROM queue WHERE lane = %(lane)s AND position = ANY(%(positions)b::bigint[])"

# busy_since says that the holder lives. Every application renews it, and whoever leaves the lane clears it.
# The bucket's count of before is missing (null) the first time.
# What was applied was the head: of what the horizon covers, nothing is left before its end. The horizon was read before
# the head was, or rows that came between would be left behind.
RECORD_APPLICATION: LiteralString = """
UPDATE lanes
SET ending_counts = ARRAY(SELECT coalesce(before, 0) + added
                          FROM unnest(ending_counts, %(ending_counts)s::bigint[]) WITH ORDINALITY AS bucket
                               (before, added, place)
                          ORDER BY place),
    ending_seconds = ending_seconds + %(ending_seconds)s,
    event_number = %(event_number)s, last_applied_at = %(applied_at)s, busy_since = clock_timestamp(),
    careful_transfers_left = greatest(careful_transfers_left - %(count)s, 0),
    unprocessable_in_a_row = %(unprocessable_in_a_row)s,
    newest_position = greatest(newest_position, %(newest_position)s),
    head_from = greatest(head_from, least(%(newest_position)s, %(horizon)s) + 1),
    stopped_at = CASE WHEN %(stopped)s THEN clock_timestamp() END
WHERE lane = %(lane)s
"""

MARK_BUSY: LiteralString = """
UPDATE lanes
SET busy_by = %(holder_id)s, busy_since = clock_timestamp(), careful_transfers_left = %(careful_transfers_left)s
WHERE lane = %(lane)s
"""

# Care ends with the queue that called for it.
CLEAR_BUSY: LiteralString = """
UPDATE lanes
SET busy_by = NULL, busy_since = NULL,
    careful_transfers_left = CASE WHEN EXISTS (SELECT FROM queue
                                               WHERE queue.lane = lanes.lane AND position >= head_from)
                                  THEN careful_transfers_left ELSE 0 END
WHERE lane = %(lane)s
"""

STOP_LANE: LiteralString = "UPDATE lanes SET stopped_at = clock_timestamp() WHERE lane = %(lane)s"

COUNT_ATTEMPT: LiteralString = """
UPDATE queue SET attempts = attempts + 1 WHERE lane = %(lane)s AND position = %(position)s
"""

# Tells whoever waits for a status that a batch was committed. In a transaction of its own, right after that commit:
# inside it, it would serialise commits (1,920 to 560 a second, measured with a standby). Nothing is lost with it.
NOTIFY_APPLIED: LiteralString = """
SELECT pg_notify('hishab_applied', %(lane)s || ':' || %(event_number)s), set_config('synchronous_commit', 'off', true)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenLane:
    """A lane whose lock this transaction holds.

    Attributes:
        busy_for: The age of the mark of `busy_by`, if there is one.
        horizon: Every position up to it is in the queue, has been, or never will be.
    """

    lane: int
    event_number: int
    careful_transfers_left: int
    unprocessable_in_a_row: int
    stopped: bool
    busy_by: UUID | None
    busy_for: timedelta | None
    horizon: int


class QueueRow(NamedTuple):
    """A transfer at the head of a lane. `read_at` is PostgreSQL's time, never below the lane's last application."""

    position: int
    transfer_id: UUID
    source_wallet_id: UUID
    destination_wallet_id: UUID
    amount: int
    attempts: int
    accepted_at: datetime
    read_at: datetime

    @property
    def transfer(self) -> QueuedTransfer:
        """Return what the domain needs to know of it."""
        return QueuedTransfer(self.transfer_id, self.source_wallet_id, self.destination_wallet_id, self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedWallets:
    """Wallets whose locks this transaction holds, and whose they are.

    Attributes:
        places: Where their rows are, in PostgreSQL's words, until the transaction changes them or ends.
    """

    states: Mapping[UUID, WalletState]
    owners: Mapping[UUID, UUID]
    places: Mapping[UUID, str]


class Event(NamedTuple):
    """One thing that happened to a transfer, as it is written down.

    Attributes:
        owner_id: The payer.
        destination_owner_id: The payee, of a success and if that is somebody else: a refusal is the payer's business.
        position: The transfer's.
    """

    id: UUID
    lane: int
    number: int
    type: str
    transfer_id: UUID
    version: int
    failure_code: str | None
    defect: str | None
    created_at: datetime
    owner_id: UUID
    destination_owner_id: UUID | None
    position: int


class QueueChangedError(Exception):
    """The rows that were decided are not the rows that were deleted. The batch is rolled back and read anew."""


def take_lane(tx: Connection, lane: int) -> TakenLane | None:
    """Take the lane until the transaction ends, or return None if another transaction holds it."""
    with tx.cursor(row_factory=class_row(TakenLane)) as cursor:
        return cursor.execute(TAKE_LANE, {"lane": lane}).fetchone()


def keep_lane(tx: Connection, lane: int) -> TakenLane:
    """Take a lane that is one's own by its mark, waiting for whoever looks at it.

    Raises:
        psycopg.errors.LockNotAvailable: Somebody works it, and has for a long time.
    """
    with tx.cursor(row_factory=class_row(TakenLane)) as cursor:
        taken = cursor.execute(KEEP_LANE, {"lane": lane}).fetchone()
    assert taken is not None, "lanes are never deleted"
    return taken


def stop_lane(tx: Connection, lane: int) -> None:
    """Let nobody work the lane until an operator says so."""
    tx.execute(STOP_LANE, {"lane": lane})


def mark_busy(tx: Connection, lane: int, *, holder_id: UUID, careful_transfers_left: int) -> None:
    """Say, in a commit before any work, that somebody works the lane: whoever finds it old knows that they died."""
    tx.execute(MARK_BUSY, {"lane": lane, "holder_id": holder_id, "careful_transfers_left": careful_transfers_left})


def clear_busy(tx: Connection, lane: int) -> None:
    """Say that the lane was left in good order."""
    tx.execute(CLEAR_BUSY, {"lane": lane})


def read_head(tx: Connection, lane: int, *, limit: int) -> list[QueueRow]:
    """Read the next transfers of a lane, in order of acceptance."""
    with tx.cursor(binary=True, row_factory=tuple_row) as cursor:
        rows = cursor.execute(READ_HEAD, {"lane": lane, "limit": limit}).fetchall()
    return [QueueRow._make(row) for row in rows]


def count_attempt(tx: Connection, row: QueueRow, *, lane: int) -> None:
    """Note on a queued transfer that one more attempt is made at it alone."""
    tx.execute(COUNT_ATTEMPT, {"lane": lane, "position": row.position})


def lock_wallets(tx: Connection, wallet_ids: Collection[UUID]) -> LockedWallets:
    """Lock wallets in order of id until the transaction ends, and return what they hold."""
    with tx.cursor(binary=True, row_factory=tuple_row) as cursor:
        rows = cursor.execute(LOCK_WALLETS, {"ids": UuidArray(wallet_ids)}).fetchall()
    return LockedWallets(
        states={wallet_id: WalletState(balance, floor, count) for wallet_id, balance, floor, count, *_ in rows},
        owners={wallet_id: owner_id for wallet_id, _, _, _, owner_id, _ in rows},
        places={wallet_id: place for wallet_id, *_, place in rows},
    )


def write_wallets(tx: Connection, changed: Mapping[UUID, WalletState], *, places: Mapping[UUID, str]) -> None:
    """Write the wallets' new states.

    Args:
        places: Of the wallets, which this transaction has locked.

    Raises:
        psycopg.errors.CheckViolation: A balance below its floor (G5).
    """
    if not changed:
        return
    states = changed.values()
    written = tx.execute(
        UPDATE_WALLETS,
        {
            "places": TextArray([places[wallet_id] for wallet_id in changed]),
            "balances": BigintArray([state.balance_minor for state in states]),
            "entry_counts": BigintArray([state.entry_count for state in states]),
        },
    )
    assert written.rowcount == len(changed), "a row that is locked stays where it is"


def write_entries(tx: Connection, entries: Sequence[Entry], *, at: datetime) -> None:
    """Write the entries of a batch.

    Raises:
        psycopg.errors.UniqueViolation: One of the transfers has been applied before (G2).
        psycopg.errors.CheckViolation: Entries that do not sum to zero (G5).
    """
    if not entries:
        return
    with tx.cursor() as cursor, cursor.copy(COPY_ENTRIES) as copy:
        copy.set_types(ENTRY_TYPES)
        for entry in entries:
            copy.write_row((*entry, at))


def write_events(tx: Connection, events: Iterable[Event]) -> list[Event]:
    """Write down what happened, and return it.

    Args:
        events: Drawn one by one: each is made while PostgreSQL works on those before.

    Raises:
        psycopg.errors.UniqueViolation: One of the transfers has ended before (G2, G7).
    """
    with tx.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
        copy.set_types(EVENT_TYPES)
        written: list[Event] = []
        for event in events:
            copy.write_row(event)
            written.append(event)
    return written


def delete_applied(tx: Connection, rows: Sequence[QueueRow], *, lane: int) -> None:
    """Take the transfers that were decided out of the queue.

    Raises:
        QueueChangedError: Somebody else took one of them.
    """
    positions = BigintArray([row.position for row in rows])
    deleted = tx.execute(DELETE_APPLIED, {"lane": lane, "positions": positions}).rowcount
    if deleted != len(rows):
        raise QueueChangedError


def record_application(
    tx: Connection,
    lane: TakenLane,
    *,
    event_number: int,
    at: datetime,
    count: int,
    newest_position: int,
    unprocessable_in_a_row: int,
    stopped: bool,
    durations: Histogram,
) -> None:
    """Note on the lane how far it has come; its newest position is no end: what was accepted late may be below it.

    Args:
        durations: From accepted to applied, of this batch, in seconds.
    """
    tx.execute(
        RECORD_APPLICATION,
        {
            "lane": lane.lane,
            "event_number": event_number,
            "applied_at": at,
            "count": count,
            "newest_position": newest_position,
            "horizon": lane.horizon,
            "unprocessable_in_a_row": unprocessable_in_a_row,
            "stopped": stopped,
            "ending_counts": durations.counts,
            "ending_seconds": durations.total,
        },
    )


def notify_applied(connection: Connection, *, lane: int, event_number: int) -> None:
    """Wake whoever waits for a status, after the commit."""
    connection.execute(NOTIFY_APPLIED, {"lane": str(lane), "event_number": str(event_number)})
