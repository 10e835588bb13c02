"""Fill a database with a ledger of some size, and name those in it whom a look at a plan is about."""

from datetime import UTC, datetime
from typing import Final, LiteralString
from uuid import UUID

from shared.database.batches import BatchRecord
from shared.domain.owner import OPERATORS_OWNER_ID

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
    "SELECT setval('transfer_position', 60000)",
    "UPDATE lanes SET event_number = 55000, newest_position = 55000 WHERE lane = 1",
    "ANALYZE",
)
