"""Show transfers as callers see them: the same JSON in an answer, in a stream and in a webhook."""

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from shared.domain.batch import StandingBatch, TransferBatch
from shared.domain.transfer import ACCEPTED_VERSION, ENDED_VERSION, FAILURE_MESSAGES, Ending, Status, Transfer


def acceptance(transfer: Transfer) -> dict[str, Any]:
    """Show what a 202 says of a transfer: as JSON the same bytes at every replay.

    A record and not a reading: made from the immutable row alone, in a frozen shape. Fields that are added later join
    `reading` only.
    """
    return _shape(transfer, ending=None)


def batch_acceptance(batch: TransferBatch) -> bytes:
    """Render the body of a batch's 202: a record in a frozen shape, as a transfer's is."""
    return to_json(
        {
            "id": str(batch.id),
            "transfer_ids": [str(transfer_id) for transfer_id in batch.transfer_ids],
            "total": len(batch.transfer_ids),
            "created_at": moment(batch.created_at),
        }
    )


def batch_reading(batch: StandingBatch) -> dict[str, Any]:
    """Show how a batch stands."""
    return {
        "id": str(batch.id),
        "total": batch.total,
        "counts": {"queued": batch.queued, "succeeded": batch.succeeded, "failed": batch.failed},
        "created_at": moment(batch.created_at),
        "completed_at": None if batch.completed_at is None else moment(batch.completed_at),
        "links": {
            "self": f"/v1/transfer-batches/{batch.id}",
            "transfers": f"/v1/transfer-batches/{batch.id}/transfers",
        },
    }


def reading(transfer: Transfer, *, ending: Ending | None, viewer_id: UUID) -> dict[str, Any]:
    """Show how a transfer stands to one of its two owners; its metadata is the payer's alone."""
    shape = _shape(transfer, ending=ending)
    return shape if viewer_id == transfer.owner_id else {**shape, "metadata": None}


@lru_cache(maxsize=64)
def moment(at: datetime) -> str:
    """Spell a time: RFC 3339, UTC, six digits. Kept, as what is written together has one time."""
    text = at.isoformat(timespec="microseconds")
    assert text.endswith("+00:00"), "PostgreSQL and the clock speak UTC here"
    return text[:-6] + "Z"


def to_json(value: object) -> bytes:
    """Spell a value as JSON in UTF-8: no spaces, keys in the order given, ids as 8-4-4-4-12 hex digits."""
    return orjson.dumps(value)


def _shape(transfer: Transfer, *, ending: Ending | None) -> dict[str, Any]:
    failure_code = ending.failure_code if ending else None
    transfer_id, created_at = str(transfer.id), moment(transfer.created_at)
    ended_at = moment(ending.at) if ending else None
    return {
        "id": transfer_id,
        "status": ending.status if ending else Status.QUEUED,
        "version": ENDED_VERSION if ending else ACCEPTED_VERSION,
        "amount": transfer.amount_minor,
        "currency": transfer.currency,
        "source_wallet_id": transfer.source_wallet_id,
        "destination_wallet_id": transfer.destination_wallet_id,
        "reference": transfer.reference,
        "note": transfer.note,
        "metadata": transfer.metadata,
        "failure": {"code": failure_code, "message": FAILURE_MESSAGES[failure_code]} if failure_code else None,
        "created_at": created_at,
        "updated_at": ended_at or created_at,
        "completed_at": ended_at,
        "links": {"self": f"/v1/transfers/{transfer_id}", "events": f"/v1/transfers/{transfer_id}/events"},
    }
