"""Accept transfers: put them and their places in the queue into the tables, many requests in one go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString, NamedTuple, assert_never
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, tuple_row

from shared.database.arrays import Array, BigintArray, ByteaArray, JsonArray, TextArray, UuidArray
from shared.domain.acceptance import Acceptance, Accepted, Refused, TransferRequest
from shared.domain.errors import (
    CurrencyMismatch,
    DestinationUnknown,
    IdempotencyKeyReused,
    QueueUnavailable,
    RequestRefused,
    SameWallet,
    WalletNotFound,
)
from shared.domain.lane import lane_of
from shared.domain.transfer import Transfer

# For requests that are written alone because their group waited too long for a key: they have waited already.
WAIT_LESS: LiteralString = "SET LOCAL lock_timeout = '200ms'"

# What the requests refer to, and a place for each, drawn in order of arrival before either table is written (the
# sequence has no cache, so the order holds over all processes: whoever was answered has a lower place than whoever asks
# afterwards). No locks: wallets are never deleted and change neither owner nor currency.
# Each lookup is LATERAL with a LIMIT, so that it goes by its index for each request: wallets_pkey, users_email_key,
# transfers_owner_id_idempotency_key_key, wallets_owner_id_currency_key (own wallets, payees). A plain join invites
# a plan that was made while a table was empty and reads it whole for each request ever after; and so does an equality
# where two indexes begin with the same column, as those of transfers do with the owner: hence the order by key.
# Wallets by a stretch of their index that is read from its end, where the newest version is (docs/decisions/0033).
# Arrays go over in binary (b): spelling them as text took half of the edge's time (both: docs/decisions/0014).
FOUND: LiteralString = """
SELECT source.id AS found_source_id,
       destination.id AS found_destination_id,
       destination.owner_id AS destination_owner_id,
       nextval('transfer_position') AS position,
       source.currency AS source_currency,
       destination.currency AS destination_currency,
       earlier.id AS earlier_id,
       earlier.fingerprint AS earlier_fingerprint
"""

LOOKED_UP: LiteralString = """
LEFT JOIN LATERAL (
    SELECT id, fingerprint FROM transfers
    WHERE owner_id = asked.owner_id AND idempotency_key BETWEEN asked.key AND asked.key
    ORDER BY idempotency_key
    LIMIT 1
) AS earlier ON true
LEFT JOIN LATERAL (
    (SELECT id, currency FROM wallets
     WHERE id BETWEEN asked.source_id AND asked.source_id AND owner_id = asked.owner_id
     ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT id, currency FROM wallets
     WHERE asked.source_id IS NULL AND owner_id = asked.owner_id
       AND currency BETWEEN asked.currency AND asked.currency AND kind = 'personal'
     ORDER BY currency DESC LIMIT 1)
    LIMIT 1
) AS source ON true
LEFT JOIN LATERAL (
    (SELECT id, owner_id, currency FROM wallets
     WHERE id BETWEEN asked.destination_id AND asked.destination_id
     ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT id, owner_id, currency FROM wallets
     WHERE owner_id = (SELECT users.id FROM users WHERE email = asked.email)
       AND currency BETWEEN asked.currency AND asked.currency AND kind = 'personal'
     ORDER BY currency DESC LIMIT 1)
    LIMIT 1
) AS destination ON true
ORDER BY asked.n
"""

RESOLVE: LiteralString = (
    FOUND
    + """
FROM unnest(%(owner_id)b::uuid[], %(idempotency_key)b::text[], %(source_wallet_id)b::uuid[],
            %(destination_wallet_id)b::uuid[], %(destination_email)b::text[], %(currency)b::text[])
     WITH ORDINALITY AS asked (owner_id, key, source_id, destination_id, email, currency, n)
"""
    + LOOKED_UP
)

# The promise of a 202: the transfer, and its place in the queue. A key that somebody else takes at this moment is
# waited for (lock_timeout) and then left out; its row is not ours and gets no place in the queue.
ACCEPT: LiteralString = """
WITH accepted AS (
    INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                           amount, currency, reference, note, metadata, idempotency_key, fingerprint, batch_id,
                           created_at)
    SELECT id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
           amount, currency, reference, note, metadata, idempotency_key, fingerprint, batch_id, statement_timestamp()
    FROM unnest(%(ids)b::uuid[], %(positions)b::bigint[], %(owner_ids)b::uuid[], %(destination_owner_ids)b::uuid[],
                %(source_ids)b::uuid[], %(destination_ids)b::uuid[], %(amounts)b::bigint[], %(currencies)b::text[],
                %(references)b::text[], %(notes)b::text[], %(metadata)b::json[], %(keys)b::text[],
                %(fingerprints)b::bytea[], %(batch_ids)b::uuid[])
         AS asked (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                   amount, currency, reference, note, metadata, idempotency_key, fingerprint, batch_id)
    ON CONFLICT (owner_id, idempotency_key) DO NOTHING
    RETURNING id, position, source_wallet_id, destination_wallet_id, amount, created_at
)
INSERT INTO queue (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount, accepted_at)
SELECT lane_of.lane, accepted.position, accepted.id, source_wallet_id, destination_wallet_id, amount, created_at
FROM accepted
JOIN unnest(%(ids)b::uuid[], %(lanes)b::bigint[]) AS lane_of (id, lane) USING (id)
ORDER BY accepted.position
RETURNING transfer_id, accepted_at
"""

# The records behind replays. FOR SHARE makes this transaction's commit wait for a synchronous standby, so that a
# replay cannot confirm a row that the standby does not have yet.
READ_RECORDS: LiteralString = """
SELECT id, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id, amount AS amount_minor, currency,
       reference, note, metadata, position, created_at
FROM transfers
WHERE id = ANY(%(ids)b)
FOR SHARE
"""


# For the fields of a TransferRequest.
ARRAYS: Final[Mapping[str, type[Array]]] = {
    "transfer_id": UuidArray,
    "owner_id": UuidArray,
    "idempotency_key": TextArray,
    "fingerprint": ByteaArray,
    "source_wallet_id": UuidArray,
    "destination_wallet_id": UuidArray,
    "destination_email": TextArray,
    "amount_minor": BigintArray,
    "currency": TextArray,
    "reference": TextArray,
    "note": TextArray,
    "metadata": JsonArray,
}


class Fresh(NamedTuple):
    """May be accepted, between these wallets, at this place in the order of acceptance."""

    source_id: UUID
    destination_id: UUID
    destination_owner_id: UUID
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Was accepted before, as this transfer."""

    transfer_id: UUID


Verdict = Fresh | Replay | RequestRefused


class Resolved(NamedTuple):
    """What a request refers to, as far as it exists, and its place; first the fields of `Fresh`, in its order."""

    source_id: UUID | None
    destination_id: UUID | None
    destination_owner_id: UUID | None
    position: int
    source_currency: str | None
    destination_currency: str | None
    earlier_id: UUID | None
    earlier_fingerprint: bytes | None


async def wait_less(tx: AsyncConnection) -> None:
    """Wait only for a moment for keys that others hold, until the transaction ends."""
    await tx.execute(WAIT_LESS)


async def accept(
    tx: AsyncConnection, requests: Sequence[TransferRequest], *, lane_count: int, is_full: bool = False
) -> list[Acceptance]:
    """Accept transfers, each judged alone. True once the transaction is committed, which is the caller's to do.

    Args:
        is_full: Nothing new may join the queue, but what is in it already is confirmed again.
    """
    verdicts = await judge(tx, requests, is_full=is_full)
    fresh = [(r, v) for r, v in zip(requests, verdicts, strict=True) if isinstance(v, Fresh)]
    accepted = await write(tx, fresh, lane_count=lane_count)
    # The key of a fresh request can be taken while it is written: by another process, or by its twin in this group.
    overtaken = [r for r, _ in fresh if r.transfer_id not in accepted]
    second = dict(zip((r.transfer_id for r in overtaken), await judge(tx, overtaken), strict=True))
    verdicts = [second.get(r.transfer_id, v) for r, v in zip(requests, verdicts, strict=True)]
    records = await _read_records(tx, {v.transfer_id for v in verdicts if isinstance(v, Replay)})
    return [
        _ending(verdict, request=request, accepted=accepted, records=records)
        for request, verdict in zip(requests, verdicts, strict=True)
    ]


async def judge(tx: AsyncConnection, requests: Sequence[TransferRequest], *, is_full: bool = False) -> list[Verdict]:
    """Judge requests, each alone, in the order given."""
    if not requests:
        return []
    async with tx.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(RESOLVE, in_columns(requests))
        rows = await cursor.fetchall()
    return [judge_one(r, Resolved._make(row), is_full=is_full) for r, row in zip(requests, rows, strict=True)]


def in_columns(requests: Sequence[TransferRequest]) -> dict[str, Array]:
    """Give what `asked` is made of: the fields of one request or more, an array each."""
    columns = zip(TransferRequest._fields, zip(*requests, strict=True), strict=True)
    return {name: ARRAYS[name](values) for name, values in columns}


def judge_one(request: TransferRequest, found: Resolved, *, is_full: bool) -> Verdict:
    """Judge one request. The key comes before everything that depends on state; then the first reason that holds."""
    if found.earlier_id is not None:
        same = found.earlier_fingerprint == request.fingerprint
        return Replay(transfer_id=found.earlier_id) if same else IdempotencyKeyReused()
    return QueueUnavailable() if is_full else _judge_wallets(request, found)


def _judge_wallets(request: TransferRequest, found: Resolved) -> Fresh | RequestRefused:
    if found.source_id is None:
        return WalletNotFound()
    if found.destination_id is None or found.destination_owner_id is None:
        return DestinationUnknown()
    if found.source_id == found.destination_id:
        return SameWallet()
    if not request.currency == found.source_currency == found.destination_currency:
        return CurrencyMismatch()
    return Fresh(
        source_id=found.source_id,
        destination_id=found.destination_id,
        destination_owner_id=found.destination_owner_id,
        position=found.position,
    )


async def write(
    tx: AsyncConnection,
    fresh: Sequence[tuple[TransferRequest, Fresh]],
    *,
    lane_count: int,
    batch_ids: Sequence[UUID] | None = None,
) -> dict[UUID, Transfer]:
    """Write what is fresh, and return it by id; a request whose key was taken meanwhile is missing from that.

    Args:
        batch_ids: Of the batch that each belongs to, if they belong to any.
    """
    if not fresh:
        return {}
    # In order of owner and key, in every process: two that meet with the same keys then wait instead of deadlocking.
    rows = sorted(
        zip(fresh, batch_ids or [None] * len(fresh), strict=True),
        key=lambda row: (row[0][0].owner_id, row[0][0].idempotency_key or ""),
    )
    async with tx.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(
            ACCEPT,
            {
                "ids": UuidArray([r.transfer_id for (r, _), _ in rows]),
                "positions": BigintArray([f.position for (_, f), _ in rows]),
                "lanes": BigintArray([lane_of(f.source_id, lane_count=lane_count) for (_, f), _ in rows]),
                "owner_ids": UuidArray([r.owner_id for (r, _), _ in rows]),
                "destination_owner_ids": UuidArray([f.destination_owner_id for (_, f), _ in rows]),
                "source_ids": UuidArray([f.source_id for (_, f), _ in rows]),
                "destination_ids": UuidArray([f.destination_id for (_, f), _ in rows]),
                "amounts": BigintArray([r.amount_minor for (r, _), _ in rows]),
                "currencies": TextArray([r.currency for (r, _), _ in rows]),
                "references": TextArray([r.reference for (r, _), _ in rows]),
                "notes": TextArray([r.note for (r, _), _ in rows]),
                "metadata": JsonArray([r.metadata for (r, _), _ in rows]),
                "keys": TextArray([r.idempotency_key for (r, _), _ in rows]),
                "fingerprints": ByteaArray([r.fingerprint for (r, _), _ in rows]),
                "batch_ids": UuidArray([batch_id for _, batch_id in rows]),
            },
        )
        written: dict[UUID, datetime] = dict(await cursor.fetchall())
    return {
        request.transfer_id: transfer_of(request, verdict, created_at=written[request.transfer_id])
        for request, verdict in fresh
        if request.transfer_id in written
    }


async def _read_records(tx: AsyncConnection, transfer_ids: Collection[UUID]) -> dict[UUID, Transfer]:
    if not transfer_ids:
        return {}
    async with tx.cursor(row_factory=class_row(Transfer)) as cursor:
        await cursor.execute(READ_RECORDS, {"ids": UuidArray(transfer_ids)})
        return {transfer.id: transfer for transfer in await cursor.fetchall()}


def _ending(
    verdict: Verdict,
    *,
    request: TransferRequest,
    accepted: Mapping[UUID, Transfer],
    records: Mapping[UUID, Transfer],
) -> Acceptance:
    match verdict:
        case Fresh():
            return Accepted(transfer=accepted[request.transfer_id], replayed=False)
        case Replay(transfer_id=transfer_id):
            return Accepted(transfer=records[transfer_id], replayed=True)
        case RequestRefused():
            return Refused(reason=verdict)
        case _:
            assert_never(verdict)


def transfer_of(request: TransferRequest, verdict: Fresh, *, created_at: datetime) -> Transfer:
    """Make the transfer that was written."""
    return Transfer(
        id=request.transfer_id,
        owner_id=request.owner_id,
        destination_owner_id=verdict.destination_owner_id,
        source_wallet_id=verdict.source_id,
        destination_wallet_id=verdict.destination_id,
        amount_minor=request.amount_minor,
        currency=request.currency,
        reference=request.reference,
        note=request.note,
        metadata=request.metadata,
        position=verdict.position,
        created_at=created_at,
    )
