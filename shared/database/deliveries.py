"""Owe webhooks: who listens, and what each is to be sent."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from shared.database.arrays import UuidArray
from shared.domain.transfer import Transfer
from shared.domain.webhook import Endpoint

# Inside the applying transaction, after the queue was read, and never from a cache: an endpoint is owed the events of
# every transfer accepted after its 201, unless it is disabled. Index: webhook_endpoints_owner_id_idx.
READ_ENDPOINTS: LiteralString = """
SELECT id, owner_id, event_types
FROM webhook_endpoints
WHERE owner_id = ANY(%(owner_ids)b) AND deleted_at IS NULL AND disabled_at IS NULL
ORDER BY id
"""

READ_TRANSFERS: LiteralString = """
SELECT id, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id, amount AS amount_minor, currency,
       reference, note, metadata, position, created_at
FROM transfers
WHERE id = ANY(%(ids)b)
"""

COPY_DELIVERIES: LiteralString = """
COPY webhook_deliveries (id, endpoint_id, event_id, body, status, attempts, next_attempt_at, created_at)
FROM STDIN (FORMAT BINARY)
"""

DELIVERY_TYPES: Final = ("uuid", "uuid", "uuid", "bytea", "text", "int2", "timestamptz", "timestamptz")


class NewDelivery(NamedTuple):
    """What an endpoint is owed: these bytes, as soon as may be."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    body: bytes


def read_endpoints(tx: Connection, owner_ids: Collection[UUID]) -> list[Endpoint]:
    """Read who listens to what happens to these owners' wallets."""
    with tx.cursor(row_factory=class_row(Endpoint)) as cursor:
        return cursor.execute(READ_ENDPOINTS, {"owner_ids": UuidArray(owner_ids)}).fetchall()


def read_transfers(tx: Connection, transfer_ids: Sequence[UUID]) -> dict[UUID, Transfer]:
    """Read what was asked, for telling somebody about it."""
    with tx.cursor(row_factory=class_row(Transfer)) as cursor:
        rows = cursor.execute(READ_TRANSFERS, {"ids": UuidArray(transfer_ids)}).fetchall()
    return {transfer.id: transfer for transfer in rows}


def owe(tx: Connection, deliveries: Iterable[NewDelivery], *, at: datetime) -> None:
    """Write down what is owed, in the transaction that makes it so (G8)."""
    with tx.cursor() as cursor, cursor.copy(COPY_DELIVERIES) as copy:
        copy.set_types(DELIVERY_TYPES)
        for delivery in deliveries:
            copy.write_row((*delivery, "pending", 0, at, at))
