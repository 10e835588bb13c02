"""Prove in SQL that no money is missing (G5): one statement a truth, each naming what does not hold.

What never changes is read in ranges of rows, so that no statement runs for long over a ledger that is large. What moves
is read in one statement each, since one statement has one snapshot. Ranges read at different times are never added up.
"""

from collections.abc import Iterator
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row, scalar_row, tuple_row

RANGE_ROWS: Final = 50_000
VIOLATIONS_MAX: Final = 100
"""What a report names of one truth; it counts them all."""

FIRST_ID: Final = UUID(int=0)

LAST_TRANSFER_OF_RANGE: LiteralString = """
SELECT id FROM (SELECT id FROM transfers WHERE id > %(after)s ORDER BY id LIMIT %(rows)s) AS range
ORDER BY id DESC LIMIT 1
"""

LAST_ENTRY_OF_RANGE: LiteralString = """
SELECT wallet_id, number
FROM (
    SELECT wallet_id, number
    FROM entries
    WHERE (wallet_id, number) > (%(wallet_id)s, %(number)s)
    ORDER BY wallet_id, number
    LIMIT %(rows)s
) AS range
ORDER BY wallet_id DESC, number DESC LIMIT 1
"""

# LIMIT 1, here and below, where there is one row at most: looked up by its unique index for each row of the range. A
# plain join invites a plan that reads a whole table for each range.

# A transfer is queued and has no entries, or has failed and has none, or has succeeded and has two: its amount out of
# its source, and into its destination. Never two of these, and never none. The queue is asked lane by lane, since
# queue_pkey begins with the lane.
TRANSFERS_ARE_WHOLE: LiteralString = """
SELECT transfers.id AS transfer_id,
       coalesce(events.type, 'not ended') AS found,
       format('queued %%s times, %%s entries, sum %%s', queued.times, entries.count, entries.sum) AS detail
FROM transfers
LEFT JOIN LATERAL (
    SELECT type FROM events WHERE events.transfer_id = transfers.id AND events.version = 2 LIMIT 1
) AS events ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS times
    FROM lanes
    JOIN queue ON queue.lane = lanes.lane AND queue.position = transfers.position
    WHERE queue.transfer_id = transfers.id
) AS queued ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS count, coalesce(sum(amount), 0) AS sum,
           count(*) FILTER (WHERE wallet_id = transfers.source_wallet_id AND amount = -transfers.amount) AS debits,
           count(*) FILTER (WHERE wallet_id = transfers.destination_wallet_id AND amount = transfers.amount) AS credits
    FROM entries WHERE entries.transfer_id = transfers.id
) AS entries ON true
WHERE transfers.id > %(after)s AND transfers.id <= %(last)s
  AND NOT CASE coalesce(events.type, 'not ended')
      WHEN 'not ended' THEN queued.times = 1 AND entries.count = 0
      WHEN 'transfer.failed' THEN queued.times = 0 AND entries.count = 0
      ELSE queued.times = 0 AND entries.count = 2 AND entries.debits = 1 AND entries.credits = 1
  END
"""

# The entries of a wallet run 1, 2, 3 …, and each balance follows from the one before.
ENTRIES_FOLLOW: LiteralString = """
SELECT range.wallet_id,
       coalesce(range.number || ': ' || before.balance + range.amount, 'an entry ' || range.number - 1) AS expected,
       range.number || ': ' || range.balance_after AS found
FROM (
    SELECT wallet_id, number, amount, balance_after
    FROM entries
    WHERE (wallet_id, number) > (%(wallet_id)s, %(number)s)
    ORDER BY wallet_id, number
    LIMIT %(rows)s
) AS range
LEFT JOIN LATERAL (
    SELECT balance_after FROM entries WHERE wallet_id = range.wallet_id AND number = range.number - 1 LIMIT 1
) AS previous ON true
CROSS JOIN LATERAL (SELECT CASE WHEN range.number = 1 THEN 0 ELSE previous.balance_after END AS balance) AS before
WHERE range.balance_after IS DISTINCT FROM before.balance + range.amount
"""

ENTRIES_OF_NO_TRANSFER: LiteralString = """
SELECT range.wallet_id, range.transfer_id, 'a transfer' AS expected, 'none' AS found
FROM (
    SELECT wallet_id, transfer_id
    FROM entries
    WHERE (wallet_id, number) > (%(wallet_id)s, %(number)s)
    ORDER BY wallet_id, number
    LIMIT %(rows)s
) AS range
LEFT JOIN LATERAL (SELECT id FROM transfers WHERE id = range.transfer_id LIMIT 1) AS transfer ON true
WHERE transfer.id IS NULL
"""

WALLETS_EQUAL_LAST_ENTRY: LiteralString = """
SELECT wallets.id AS wallet_id, wallets.currency,
       coalesce(last.number, 0) || ': ' || coalesce(last.balance_after, 0) AS expected,
       wallets.entry_count || ': ' || wallets.balance AS found
FROM wallets
LEFT JOIN LATERAL (
    SELECT number, balance_after FROM entries WHERE wallet_id = wallets.id ORDER BY number DESC LIMIT 1
) AS last ON true
WHERE wallets.entry_count <> coalesce(last.number, 0) OR wallets.balance <> coalesce(last.balance_after, 0)
"""

WALLETS_KEEP_THEIR_FLOOR: LiteralString = """
SELECT id AS wallet_id, currency, 'at least ' || floor AS expected, balance::text AS found
FROM wallets WHERE balance < floor
"""

CURRENCIES_SUM_TO_ZERO: LiteralString = """
SELECT currency, '0' AS expected, sum(balance)::text AS found
FROM wallets GROUP BY currency HAVING sum(balance) <> 0
"""

SUM_UP: LiteralString = """
SELECT currency,
       count(*) AS wallets,
       (-sum(balance) FILTER (WHERE kind = 'issuance'))::bigint AS issued,
       coalesce(sum(balance) FILTER (WHERE kind <> 'issuance'), 0)::bigint AS held,
       sum(entry_count)::bigint AS entries
FROM wallets GROUP BY currency HAVING count(*) > 1 OR sum(entry_count) > 0
ORDER BY currency
"""

SUM_UP_TRANSFERS: LiteralString = """
SELECT (SELECT count(*) FROM transfers) AS transfers,
       (SELECT count(*) FROM queue) AS queued,
       count(*) FILTER (WHERE type = 'transfer.succeeded') AS succeeded,
       count(*) FILTER (WHERE type = 'transfer.failed') AS failed
FROM events WHERE transfer_id IS NOT NULL
"""


def find_violations(connection: Connection, *, range_rows: int = RANGE_ROWS) -> Iterator[dict[str, Any]]:
    """Check everything, and name what does not hold: at most a hundred cases of each truth in a range.

    Args:
        range_rows: How many transfers or entries one statement reads.

    Yields:
        `check`, the name of the truth; `wallet_id`, `transfer_id` or `currency`; `expected` and `found`.
    """
    for range_ in _transfer_ranges(connection, rows=range_rows):
        yield from _check(connection, "transfers_are_whole", statement=TRANSFERS_ARE_WHOLE, arguments=range_)
    for range_ in _entry_ranges(connection, rows=range_rows):
        yield from _check(connection, "entries_follow", statement=ENTRIES_FOLLOW, arguments=range_)
        yield from _check(connection, "entries_of_no_transfer", statement=ENTRIES_OF_NO_TRANSFER, arguments=range_)
    yield from _check(connection, "wallets_equal_last_entry", statement=WALLETS_EQUAL_LAST_ENTRY)
    yield from _check(connection, "wallets_keep_their_floor", statement=WALLETS_KEEP_THEIR_FLOOR)
    yield from _check(connection, "currencies_sum_to_zero", statement=CURRENCIES_SUM_TO_ZERO)


def sum_up(connection: Connection) -> dict[str, Any]:
    """Say how much there is: transfers by status, and per currency the money issued and the money held."""
    with connection.cursor(row_factory=dict_row) as cursor:
        transfers = cursor.execute(SUM_UP_TRANSFERS).fetchone() or {}
        currencies = cursor.execute(SUM_UP).fetchall()
    return {**transfers, "currencies": currencies}


def _transfer_ranges(connection: Connection, *, rows: int) -> Iterator[dict[str, Any]]:
    after = FIRST_ID
    with connection.cursor(row_factory=scalar_row) as cursor:
        while last := cursor.execute(LAST_TRANSFER_OF_RANGE, {"after": after, "rows": rows}).fetchone():
            yield {"after": after, "last": last}
            after = last


def _entry_ranges(connection: Connection, *, rows: int) -> Iterator[dict[str, Any]]:
    """Count off the entries by wallet and number: a wallet may have millions, or none."""
    last: tuple[UUID, int] | None = (FIRST_ID, 0)
    with connection.cursor(row_factory=tuple_row) as cursor:
        while last is not None:
            wallet_id, number = last
            range_ = {"wallet_id": wallet_id, "number": number, "rows": rows}
            yield range_
            # Only now, after the range was checked: entries that have come into it meanwhile make it end earlier, and
            # some are checked twice instead of not at all.
            last = cursor.execute(LAST_ENTRY_OF_RANGE, range_).fetchone()


def _check(
    connection: Connection, name: str, *, statement: LiteralString, arguments: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, arguments).fetchall()
    for row in rows[:VIOLATIONS_MAX]:
        yield {"check": name, **{key: str(value) for key, value in row.items()}}
    if len(rows) > VIOLATIONS_MAX:
        yield {"check": name, "expected": "none", "found": f"{len(rows)} cases, of which {VIOLATIONS_MAX} are named"}
