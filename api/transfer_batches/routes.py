"""Accept batches of transfers, and show how they stand."""

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

import psycopg
import structlog
from fastapi import APIRouter, Header, Response
from sqlalchemy.exc import SQLAlchemyError

from api import problems
from api.body_limit import BodyBytes
from api.caller import Caller, needs
from api.entity_tags import IfNoneMatch, entity_tag, is_old
from api.operations import operation_id
from api.paging import FromPage, Listing, number
from api.parts import FromParts, InTransaction, Parts
from api.prefer import Prefer, wait_seconds, waited
from api.strict import Id, StrictRoute
from api.transfer_batches import answers
from api.transfer_batches.schemas import NewBatch
from api.transfers.answers import show
from shared.database.batches import read_batch
from shared.database.transfers import list_batch_transfers
from shared.domain.acceptance import AcceptedBatch, Refused
from shared.domain.errors import (
    BatchInvalid,
    BatchNotFound,
    CursorInvalid,
    IdempotencyKeyInUse,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    NotAuthenticated,
    OutcomeUnknown,
    QueueUnavailable,
    ScopeMissing,
    ServiceUnavailable,
)
from shared.domain.idempotency import parse_key
from shared.domain.scope import TRANSFERS_READ, TRANSFERS_WRITE

log = structlog.get_logger()

IDS_A_LINE: Final = 100

router = APIRouter(tags=["transfer batches"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.post(
    "/v1/transfer-batches",
    summary="Send a batch of transfers",
    status_code=202,
    responses=problems.documented(
        NotAuthenticated,
        ScopeMissing,
        IdempotencyKeyMissing,
        IdempotencyKeyInvalid,
        IdempotencyKeyReused,
        IdempotencyKeyInUse,
        BatchInvalid,
        QueueUnavailable,
        OutcomeUnknown,
    ),
)
async def post_transfer_batch(
    asked: NewBatch,
    caller: Annotated[Caller, needs(TRANSFERS_WRITE)],
    parts: FromParts,
    body_bytes: BodyBytes,
    idempotency_key: Annotated[
        str | None, Header(description="A new one for each batch, the same for a retry.")
    ] = None,
    prefer: Prefer = None,
) -> Response:
    """Accept up to a thousand transfers, all or none: a 202 is committed rows, applied in the order they were sent.

    Where some are not valid nothing is accepted, and `errors` names each of those: by form first, as for a single
    transfer, then by what they refer to. Once accepted, each ends by itself.

    With `Prefer: wait=N` a new batch is waited for: 200 with how it stands once all have ended, or 202 after that time.
    """
    key = parse_key(idempotency_key)
    acceptance = await parts.batch_intake.accept(
        asked.requested(owner_id=caller.owner_id, idempotency_key=key), body_bytes=body_bytes
    )
    if isinstance(acceptance, Refused):
        raise acceptance.reason
    if parts.settings.log_transfers:
        _log_accepted(acceptance)
    seconds = wait_seconds(prefer)
    if seconds is None or acceptance.replayed:
        return answers.accepted(acceptance, key=key)
    try:
        return await _completed(parts, acceptance, owner_id=caller.owner_id, key=key, seconds=seconds)
    except (SQLAlchemyError, psycopg.Error) as error:
        # It is committed, so what is said of it must not be "try again".
        log.warning("batch.not_waited_for", batch_id=str(acceptance.batch.id), error=type(error).__name__)
        return answers.accepted(acceptance, key=key)


def _log_accepted(acceptance: AcceptedBatch) -> None:
    """Log what leads from the request's id to each transfer, in lines that no collector cuts."""
    batch, replayed = acceptance.batch, acceptance.replayed
    for first in range(0, len(batch.transfer_ids), IDS_A_LINE):
        ids = " ".join(map(str, batch.transfer_ids[first : first + IDS_A_LINE]))
        log.info("batch.accepted", batch_id=str(batch.id), transfer_ids=ids, replayed=replayed)


async def _completed(parts: Parts, accepted: AcceptedBatch, *, owner_id: UUID, key: str, seconds: int) -> Response:
    batch = await parts.batches.find(accepted.batch.id, owner_id=owner_id)
    assert batch is not None
    could_wait = await parts.batches.wait(batch, seconds_max=seconds)
    standing = await parts.batches.read(batch)
    held = waited(seconds, was_refused=not could_wait)
    if standing.queued:
        return answers.accepted(accepted, key=key, waited=held)
    return answers.accepted_and_completed(standing, key=key, waited=held)


@router.get(
    "/v1/transfer-batches/{batch_id}",
    summary="Show a batch",
    responses=problems.documented(NotAuthenticated, ScopeMissing, BatchNotFound, ServiceUnavailable),
)
async def get_transfer_batch(
    batch_id: Id,
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    parts: FromParts,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show how many transfers of a batch are queued, have succeeded and have failed.

    With `Prefer: wait=N` the answer is held until all of them have ended, unless it differs already from what
    `If-None-Match` names.
    """
    seconds = wait_seconds(prefer)
    batch = await parts.batches.find(batch_id, owner_id=caller.owner_id)
    if batch is None:
        raise BatchNotFound
    standing = await parts.batches.read(batch)
    could_wait = True
    if seconds and standing.queued and is_old(entity_tag(standing.version), if_none_match=if_none_match):
        could_wait = await parts.batches.wait(batch, seconds_max=seconds)
        standing = await parts.batches.read(batch)
    held = waited(seconds, was_refused=not could_wait)
    return answers.reading(standing, if_none_match=if_none_match, waited=held)


@router.get(
    "/v1/transfer-batches/{batch_id}/transfers",
    summary="List a batch's transfers",
    responses=problems.documented(NotAuthenticated, ScopeMissing, BatchNotFound, CursorInvalid, ServiceUnavailable),
)
async def get_batch_transfers(
    batch_id: Id,
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    tx: InTransaction,
    asked: FromPage,
) -> dict[str, Any]:
    """List the transfers of a batch, in the order they were sent."""
    batch = await read_batch(tx, batch_id, owner_id=caller.owner_id)
    if batch is None:
        raise BatchNotFound
    listing = Listing(name=f"transfers of batch {batch_id}", owner_id=str(caller.owner_id))
    after = listing.position(asked.cursor, read=number)
    rows = await list_batch_transfers(tx, batch, after=after, limit=asked.rows_to_read)
    return asked.page(
        rows,
        listing=listing,
        position=lambda standing: standing.transfer.position,
        show=partial(show, viewer_id=caller.owner_id),
    )
