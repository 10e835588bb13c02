"""Accept batches of transfers, and show how they stand."""

from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Header, Request, Response

from api import problems
from api.body_limit import BodyBytes
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import Cursor, Limit, Listing, number, page
from api.parts import FromParts, InTransaction
from api.strict import Id, StrictRoute
from api.transfer_batches.schemas import NewBatch
from api.transfers.answers import RETRY_SECONDS
from shared.database.batches import read_batch, read_standing
from shared.database.transfers import StandingTransfer, list_batch_transfers
from shared.domain import wire
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
) -> Response:
    """Accept up to a thousand transfers, all or none: a 202 is committed rows, applied in the order they were sent.

    Where some are not valid nothing is accepted, and `errors` names each of those: by form first, as for a single
    transfer, then by what they refer to. Once accepted, each ends by itself.
    """
    key = parse_key(idempotency_key)
    acceptance = await parts.batch_intake.accept(
        asked.requested(owner_id=caller.owner_id, idempotency_key=key), body_bytes=body_bytes
    )
    match acceptance:
        case AcceptedBatch(batch=batch, replayed=replayed):
            headers = {
                "Location": f"/v1/transfer-batches/{batch.id}",
                "Retry-After": RETRY_SECONDS,
                "Idempotency-Key": key,
            }
            if replayed:
                headers["Idempotent-Replayed"] = "true"
            body = wire.batch_acceptance(batch)
            return Response(body, status_code=202, headers=headers, media_type="application/json")
        case Refused(reason=reason):
            raise reason
        case _:
            assert_never(acceptance)


@router.get(
    "/v1/transfer-batches/{batch_id}",
    summary="Show a batch",
    responses=problems.documented(NotAuthenticated, ScopeMissing, BatchNotFound, ServiceUnavailable),
)
async def get_transfer_batch(
    batch_id: Id, caller: Annotated[Caller, needs(TRANSFERS_READ)], tx: InTransaction, response: Response
) -> dict[str, Any]:
    """Show how many transfers of a batch are queued, have succeeded and have failed."""
    batch = await read_batch(tx, batch_id, owner_id=caller.owner_id)
    if batch is None:
        raise BatchNotFound
    standing = await read_standing(tx, batch)
    if standing.queued:
        response.headers["Retry-After"] = RETRY_SECONDS
    response.headers["Cache-Control"] = "private, no-cache"
    return wire.batch_reading(standing)


@router.get(
    "/v1/transfer-batches/{batch_id}/transfers",
    summary="List a batch's transfers",
    responses=problems.documented(NotAuthenticated, ScopeMissing, BatchNotFound, CursorInvalid, ServiceUnavailable),
)
async def get_batch_transfers(
    batch_id: Id,
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    tx: InTransaction,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> dict[str, Any]:
    """List the transfers of a batch, in the order they were sent."""
    batch = await read_batch(tx, batch_id, owner_id=caller.owner_id)
    if batch is None:
        raise BatchNotFound
    listing = Listing(name=f"transfers of batch {batch_id}", owner_id=str(caller.owner_id))
    after = listing.position(cursor, read=number)
    rows = await list_batch_transfers(tx, batch, after=after, limit=limit + 1)

    def show(standing: StandingTransfer) -> dict[str, Any]:
        return wire.reading(standing.transfer, ending=standing.ending, viewer_id=caller.owner_id)

    return page(
        rows,
        limit=limit,
        listing=listing,
        position=lambda standing: standing.transfer.position,
        show=show,
        request=request,
        response=response,
    )
