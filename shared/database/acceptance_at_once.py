"""Accept transfers in one statement that commits by itself: one round trip, where a transaction takes four."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from shared.database.acceptance import FOUND, LOOKED_UP, Fresh, Resolved, in_columns, judge_one, transfer_of
from shared.domain.acceptance import Acceptance, Accepted, Refused, TransferRequest
from shared.domain.errors import RequestRefused

# `shared.domain.lane.lane_of` for a source that only this statement finds: 1 + the id, as an integer, modulo the count.
# An id has 128 bits, so it goes by words of 32.
LANE: LiteralString = """
CASE WHEN %(lane_count)s = 1 THEN 1 ELSE 1 + (
    SELECT sum((('x' || substr(translate(source_wallet_id::text, '-', ''), 8 * word - 7, 8))::bit(32)::bigint
                %% %(lane_count)s) * power(4294967296 %% %(lane_count)s, 4 - word)::bigint)
    FROM generate_series(1, 4) AS word
) %% %(lane_count)s END
"""

# Reads, decides and writes as `judge` and `write` of acceptance.py do, and accepts what they would accept.
# In order of owner and key, in every process: two that meet with the same keys then wait instead of deadlocking.
# The one join of many to many is a hashed IN: for a plan that knows no numbers a join would be a nested loop.
ACCEPT_AT_ONCE: LiteralString = (
    "WITH resolved AS MATERIALIZED ("  # noqa: S608 (constants, put together)
    + FOUND
    + """
        , asked.*
    FROM unnest(%(owner_id)b::uuid[], %(idempotency_key)b::text[], %(source_wallet_id)b::uuid[],
                %(destination_wallet_id)b::uuid[], %(destination_email)b::text[], %(currency)b::text[],
                %(transfer_id)b::uuid[], %(amount_minor)b::bigint[], %(reference)b::text[], %(note)b::text[],
                %(metadata)b::json[], %(fingerprint)b::bytea[])
         WITH ORDINALITY AS asked (owner_id, key, source_id, destination_id, email, currency, id, amount,
                                   reference, note, metadata, fingerprint, n)
"""
    + LOOKED_UP
    + """
),
accepted AS (
    INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                           amount, currency, reference, note, metadata, idempotency_key, fingerprint, created_at)
    SELECT id, position, owner_id, destination_owner_id, found_source_id, found_destination_id,
           amount, currency, reference, note, metadata, key, fingerprint, statement_timestamp()
    FROM resolved
    WHERE earlier_id IS NULL AND found_source_id <> found_destination_id
      AND currency = source_currency AND currency = destination_currency AND NOT %(is_full)s
    ORDER BY owner_id, key COLLATE "C"
    ON CONFLICT (owner_id, idempotency_key) DO NOTHING
    RETURNING id, position, source_wallet_id, destination_wallet_id, amount, created_at
),
queued AS (
    INSERT INTO queue (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount, accepted_at)
    SELECT """
    + LANE
    + """, position, id, source_wallet_id, destination_wallet_id, amount, created_at
    FROM accepted
    ORDER BY position
)
SELECT found_source_id, found_destination_id, destination_owner_id, position, source_currency, destination_currency,
       earlier_id, earlier_fingerprint,
       position IN (SELECT accepted.position FROM accepted) AS is_accepted,
       -- The same for all, so it is read once.
       CASE WHEN n = 1 THEN statement_timestamp() END
FROM resolved
ORDER BY n
"""
)

IS_ACCEPTED: Final = len(Resolved._fields)
"""Its place in a row: right behind what the request refers to."""


async def accept_at_once(
    connection: AsyncConnection, requests: Sequence[TransferRequest], *, lane_count: int, is_full: bool
) -> list[Acceptance | None]:
    """Accept transfers, each judged alone; those that are accepted are committed when this returns.

    Args:
        connection: Every statement is a transaction of its own.

    Returns:
        One ending per request, in the order given; None where the key is another's or an earlier one's, which `accept`
        has to look at.

    Raises:
        psycopg.errors.LockNotAvailable: Another transaction has held one of the keys for two seconds.
        psycopg.errors.DeadlockDetected: Try again.
    """
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            ACCEPT_AT_ONCE,
            {**in_columns(requests), "lane_count": lane_count, "is_full": is_full},
        )
        rows = await cursor.fetchall()
    created_at: datetime = rows[0][-1]
    return [
        _ending(request, row, created_at=created_at, is_full=is_full)
        for request, row in zip(requests, rows, strict=True)
    ]


def _ending(request: TransferRequest, row: Sequence[Any], *, created_at: datetime, is_full: bool) -> Acceptance | None:
    if row[IS_ACCEPTED]:
        # The statement has judged it already.
        fresh = Fresh._make(row[: len(Fresh._fields)])
        return Accepted(transfer_of(request, fresh, created_at=created_at), replayed=False)
    verdict = judge_one(request, Resolved._make(row[:IS_ACCEPTED]), is_full=is_full)
    return Refused(reason=verdict) if isinstance(verdict, RequestRefused) else None
