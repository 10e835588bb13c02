"""Accept transfers, and show how they stand."""

from typing import Annotated, Any, assert_never

from fastapi import APIRouter, Header, Query, Request, Response

from api import problems
from api.caller import Caller, needs
from api.direct import DirectRoute
from api.operations import operation_id
from api.paging import Cursor, Limit, Listing, number, page
from api.parts import FromParts, InTransaction
from api.strict import Id, PlainText, StrictRoute
from api.transfers.schemas import NewTransfer, show_history
from shared.database.events import list_transfer_events
from shared.database.transfers import StandingTransfer, TransferFilters, list_transfers, read_transfer
from shared.domain import wire
from shared.domain.acceptance import Accepted, Refused
from shared.domain.errors import (
    CurrencyMismatch,
    CursorInvalid,
    DestinationUnknown,
    IdempotencyKeyInUse,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    NotAuthenticated,
    OutcomeUnknown,
    QueueUnavailable,
    SameWallet,
    ScopeMissing,
    ServiceUnavailable,
    TransferNotFound,
    WalletNotFound,
)
from shared.domain.idempotency import parse_key
from shared.domain.scope import TRANSFERS_READ, TRANSFERS_WRITE
from shared.domain.transfer import Status

router = APIRouter(tags=["transfers"], route_class=StrictRoute, generate_unique_id_function=operation_id)
direct_router = APIRouter(tags=["transfers"], route_class=DirectRoute, generate_unique_id_function=operation_id)

RETRY_SECONDS = "1"


@direct_router.post(
    "/v1/transfers",
    summary="Send a transfer",
    status_code=202,
    responses=problems.documented(
        NotAuthenticated,
        ScopeMissing,
        IdempotencyKeyMissing,
        IdempotencyKeyInvalid,
        IdempotencyKeyReused,
        IdempotencyKeyInUse,
        WalletNotFound,
        DestinationUnknown,
        SameWallet,
        CurrencyMismatch,
        QueueUnavailable,
        OutcomeUnknown,
    ),
)
async def post_transfer(
    asked: NewTransfer,
    caller: Annotated[Caller, needs(TRANSFERS_WRITE)],
    parts: FromParts,
    idempotency_key: Annotated[
        str | None, Header(description="A new one for each transfer, the same for a retry.")
    ] = None,
) -> Response:
    """Accept a transfer: a 202 is a committed row. It is applied soon; poll its `Location`, or have a webhook told."""
    key = parse_key(idempotency_key)
    acceptance = await parts.intake.accept(asked.requested(owner_id=caller.owner_id, idempotency_key=key))
    match acceptance:
        case Accepted(transfer=transfer, replayed=replayed):
            headers = {
                "Location": f"/v1/transfers/{transfer.id}",
                "Retry-After": RETRY_SECONDS,
                "Idempotency-Key": key,
            }
            if replayed:
                headers["Idempotent-Replayed"] = "true"
            body = wire.acceptance(transfer)
            return Response(body, status_code=202, headers=headers, media_type="application/json")
        case Refused(reason=reason):
            raise reason
        case _:
            assert_never(acceptance)


@router.get(
    "/v1/transfers",
    summary="List transfers",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_transfers(
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    tx: InTransaction,
    request: Request,
    response: Response,
    status: Annotated[Status | None, Query()] = None,
    reference: Annotated[PlainText | None, Query(max_length=64)] = None,
    idempotency_key: Annotated[PlainText | None, Query(max_length=255)] = None,
    wallet_id: Annotated[Id | None, Query(description="Either end of the transfer.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> dict[str, Any]:
    """List what the caller sent, and what they received, newest first."""
    filters = TransferFilters(status=status, reference=reference, idempotency_key=idempotency_key, wallet_id=wallet_id)
    binding = (status, reference, idempotency_key, str(wallet_id))
    listing = Listing(name="transfers", owner_id=str(caller.owner_id), filters=binding)
    before = listing.position(cursor, read=number)
    rows = await list_transfers(
        tx,
        viewer_id=caller.owner_id,
        filters=filters,
        before=before,
        limit=limit + 1,
    )

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


@router.get(
    "/v1/transfers/{transfer_id}",
    summary="Show a transfer",
    responses=problems.documented(NotAuthenticated, ScopeMissing, TransferNotFound, ServiceUnavailable),
)
async def get_transfer(
    transfer_id: Id, caller: Annotated[Caller, needs(TRANSFERS_READ)], tx: InTransaction, response: Response
) -> dict[str, Any]:
    """Show how a transfer stands: from the moment of its 202 on, and also if it failed."""
    standing = await read_transfer(tx, transfer_id, viewer_id=caller.owner_id)
    if standing is None:
        raise TransferNotFound
    if standing.ending is None:
        response.headers["Retry-After"] = RETRY_SECONDS
    response.headers["Cache-Control"] = "private, no-cache"
    return wire.reading(standing.transfer, ending=standing.ending, viewer_id=caller.owner_id)


@router.get(
    "/v1/transfers/{transfer_id}/events",
    summary="List a transfer's events",
    responses=problems.documented(NotAuthenticated, ScopeMissing, TransferNotFound, ServiceUnavailable),
)
async def get_transfer_events(
    transfer_id: Id, caller: Annotated[Caller, needs(TRANSFERS_READ)], tx: InTransaction, response: Response
) -> dict[str, Any]:
    """List each status that a transfer had, oldest first, to those who may see the transfer.

    The first is always the acceptance, `transfer.queued`: no event, so its `id` is null. Those that follow are the
    events that webhooks tell, under the same ids.
    """
    standing = await read_transfer(tx, transfer_id, viewer_id=caller.owner_id)
    if standing is None:
        raise TransferNotFound
    response.headers["Cache-Control"] = "private, no-cache"
    return {"data": show_history(standing.transfer, await list_transfer_events(tx, transfer_id))}
