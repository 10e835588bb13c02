"""Accept batches: each under one key, all of its transfers or none, many batches in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, assert_never
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row, tuple_row

from shared.database.acceptance import Fresh, Verdict, judge, write
from shared.domain.acceptance import AcceptedBatch, BatchAcceptance, BatchRequest, Refused
from shared.domain.batch import TransferBatch
from shared.domain.errors import BatchInvalid, IdempotencyKeyReused, QueueUnavailable, RequestRefused

# The keys that are taken, for each batch. Index: transfer_batches_owner_id_idempotency_key_key, by LATERAL as in
# acceptance.py.
FIND_EARLIER: LiteralString = """
SELECT earlier.id, earlier.fingerprint
FROM unnest(%(owner_ids)b::uuid[], %(keys)b::text[]) WITH ORDINALITY AS asked (owner_id, key, n)
LEFT JOIN LATERAL (
    SELECT id, fingerprint FROM transfer_batches
    WHERE owner_id = asked.owner_id AND idempotency_key = asked.key
    LIMIT 1
) AS earlier ON true
ORDER BY asked.n
"""

# Before any of their transfers: a key that somebody else takes at this moment is waited for (lock_timeout), and then
# its batch is left out, whole.
ACCEPT_BATCHES: LiteralString = """
INSERT INTO transfer_batches (id, owner_id, idempotency_key, fingerprint, first_position, last_position, total,
                              created_at)
SELECT id, owner_id, key, fingerprint, first_position, last_position, total, statement_timestamp()
FROM unnest(%(ids)b::uuid[], %(owner_ids)b::uuid[], %(keys)b::text[], %(fingerprints)b::bytea[],
            %(first_positions)b::bigint[], %(last_positions)b::bigint[], %(totals)b::smallint[])
     AS asked (id, owner_id, key, fingerprint, first_position, last_position, total)
ON CONFLICT (owner_id, idempotency_key) DO NOTHING
RETURNING id, created_at
"""

# The record behind a replay. FOR SHARE as for a transfer's (acceptance.py).
READ_RECORD: LiteralString = """
SELECT id, owner_id, first_position, last_position, created_at FROM transfer_batches WHERE id = %(id)s FOR SHARE
"""

# In the order they were sent. Index: transfers_owner_id_position_key.
READ_TRANSFER_IDS: LiteralString = """
SELECT id
FROM transfers
WHERE owner_id = %(owner_id)s AND position BETWEEN %(first_position)s AND %(last_position)s AND batch_id = %(id)s
ORDER BY position
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    id: UUID
    owner_id: UUID
    first_position: int
    last_position: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _FreshBatch:
    """May be accepted; where each of its transfers goes, in the order they were sent."""

    verdicts: Sequence[Fresh]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReplayedBatch:
    """Was accepted before, as this batch."""

    batch_id: UUID


_BatchVerdict = _FreshBatch | _ReplayedBatch | RequestRefused


async def accept_batches(
    tx: AsyncConnection, requests: Sequence[BatchRequest], *, lane_count: int, is_full: bool = False
) -> list[BatchAcceptance]:
    """Accept batches, each judged alone; otherwise as `accept` does transfers."""
    verdicts = await _judge_batches(tx, requests, is_full=is_full)
    fresh = [(r, v) for r, v in zip(requests, verdicts, strict=True) if isinstance(v, _FreshBatch)]
    accepted = await _write_batches(tx, fresh, lane_count=lane_count)
    overtaken = [r for r, _ in fresh if r.batch_id not in accepted]
    earlier = await _find_earlier(tx, overtaken)
    second = {r.batch_id: verdict for r, verdict in zip(overtaken, earlier, strict=True)}
    return [
        await _ending(tx, second.get(r.batch_id, v), request=r, accepted=accepted)
        for r, v in zip(requests, verdicts, strict=True)
    ]


async def _judge_batches(
    tx: AsyncConnection, requests: Sequence[BatchRequest], *, is_full: bool
) -> list[_BatchVerdict]:
    """Judge batches. The key comes before everything that depends on state; then every transfer is judged."""
    earlier = await _find_earlier(tx, requests)
    unknown = [r for r, found in zip(requests, earlier, strict=True) if found is None]
    if is_full:
        return [found or QueueUnavailable() for found in earlier]
    judged = iter(await judge(tx, [transfer for request in unknown for transfer in request.transfers]))
    return [
        found or _verdict([next(judged) for _ in request.transfers])
        for request, found in zip(requests, earlier, strict=True)
    ]


async def _find_earlier(
    tx: AsyncConnection, requests: Sequence[BatchRequest]
) -> list[_ReplayedBatch | IdempotencyKeyReused | None]:
    if not requests:
        return []
    async with tx.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            FIND_EARLIER,
            {"owner_ids": [r.owner_id for r in requests], "keys": [r.idempotency_key for r in requests]},
        )
        rows = await cursor.fetchall()
    return [_earlier(*row, request=request) for request, row in zip(requests, rows, strict=True)]


def _earlier(
    batch_id: UUID | None, fingerprint: bytes | None, *, request: BatchRequest
) -> _ReplayedBatch | IdempotencyKeyReused | None:
    if batch_id is None:
        return None
    return _ReplayedBatch(batch_id=batch_id) if fingerprint == request.fingerprint else IdempotencyKeyReused()


def _verdict(verdicts: Sequence[Verdict]) -> _FreshBatch | BatchInvalid:
    """Let a batch pass if each of its transfers may; otherwise name those that may not."""
    fresh = [verdict for verdict in verdicts if isinstance(verdict, Fresh)]
    if len(fresh) == len(verdicts):
        return _FreshBatch(verdicts=fresh)
    return BatchInvalid({place: v for place, v in enumerate(verdicts) if isinstance(v, RequestRefused)})


async def _write_batches(
    tx: AsyncConnection, fresh: Sequence[tuple[BatchRequest, _FreshBatch]], *, lane_count: int
) -> dict[UUID, AcceptedBatch]:
    """Write what is fresh, and return it by id; a batch whose key was taken meanwhile is missing from that."""
    if not fresh:
        return {}
    # In order of owner and key, and before any transfer, in every process: see `write`.
    rows = sorted(fresh, key=lambda row: (row[0].owner_id, row[0].idempotency_key))
    async with tx.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            ACCEPT_BATCHES,
            {
                "ids": [r.batch_id for r, _ in rows],
                "owner_ids": [r.owner_id for r, _ in rows],
                "keys": [r.idempotency_key for r, _ in rows],
                "fingerprints": [r.fingerprint for r, _ in rows],
                "first_positions": [f.verdicts[0].position for _, f in rows],
                "last_positions": [f.verdicts[-1].position for _, f in rows],
                "totals": [r.transfer_count for r, _ in rows],
            },
        )
        written: dict[UUID, datetime] = dict(await cursor.fetchall())
    ours = [row for row in fresh if row[0].batch_id in written]
    await write(
        tx,
        [pair for r, f in ours for pair in zip(r.transfers, f.verdicts, strict=True)],
        batch_ids=[r.batch_id for r, _ in ours for _ in r.transfers],
        lane_count=lane_count,
    )
    return {r.batch_id: _accepted(r, f, created_at=written[r.batch_id]) for r, f in ours}


def _accepted(request: BatchRequest, fresh: _FreshBatch, *, created_at: datetime) -> AcceptedBatch:
    transfer_ids = tuple(transfer.transfer_id for transfer in request.transfers)
    return AcceptedBatch(
        batch=TransferBatch(id=request.batch_id, transfer_ids=transfer_ids, created_at=created_at),
        replayed=False,
        fresh_source_ids=frozenset(verdict.source_id for verdict in fresh.verdicts),
    )


async def _ending(
    tx: AsyncConnection, verdict: _BatchVerdict | None, *, request: BatchRequest, accepted: Mapping[UUID, AcceptedBatch]
) -> BatchAcceptance:
    assert verdict is not None, "a key that was taken belongs to a batch, and batches are never deleted"
    match verdict:
        case _FreshBatch():
            return accepted[request.batch_id]
        case _ReplayedBatch(batch_id=batch_id):
            batch = await _read_batch(tx, batch_id)
            return AcceptedBatch(batch=batch, replayed=True, fresh_source_ids=frozenset())
        case RequestRefused():
            return Refused(reason=verdict)
        case _:
            assert_never(verdict)


async def _read_batch(tx: AsyncConnection, batch_id: UUID) -> TransferBatch:
    async with tx.cursor(row_factory=class_row(_Record)) as cursor:
        record = await (await cursor.execute(READ_RECORD, {"id": batch_id})).fetchone()
    assert record is not None, "batches are never deleted"
    stretch = {
        "id": record.id,
        "owner_id": record.owner_id,
        "first_position": record.first_position,
        "last_position": record.last_position,
    }
    async with tx.cursor(row_factory=scalar_row) as cursor:
        transfer_ids = await (await cursor.execute(READ_TRANSFER_IDS, stretch)).fetchall()
    return TransferBatch(id=record.id, transfer_ids=tuple(transfer_ids), created_at=record.created_at)
