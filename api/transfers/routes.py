"""Accept transfers, and show how they stand."""

from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse

from api import problems
from api.body_limit import BodyBytes
from api.caller import Caller, is_still_let_in, needs
from api.direct import DirectRoute
from api.entity_tags import IfNoneMatch, entity_tag, is_old
from api.operations import operation_id
from api.paging import FromPage, Listing, number
from api.parts import FromParts, InTransaction, Parts
from api.prefer import Prefer, wait_seconds, waited
from api.strict import Id, PlainText, StrictRoute
from api.transfers import answers, stream
from api.transfers.schemas import NewTransfer, show_history
from api.transfers.stream import WatchForStream
from shared.database.endings import EndedTransfer
from shared.database.events import TransferEvent, list_transfer_events
from shared.database.transfers import StandingTransfer, TransferFilters, list_transfers
from shared.domain.acceptance import Acceptance, Accepted, TransferRequest
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
from shared.identifiers import event_name

log = structlog.get_logger()

router = APIRouter(tags=["transfers"], route_class=StrictRoute, generate_unique_id_function=operation_id)
direct_router = APIRouter(tags=["transfers"], route_class=DirectRoute, generate_unique_id_function=operation_id)


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
    body_bytes: BodyBytes,
    idempotency_key: Annotated[
        str | None, Header(description="A new one for each transfer, the same for a retry.")
    ] = None,
    prefer: Prefer = None,
) -> Response:
    """Accept a transfer: a 202 is a committed row. It is applied soon; poll its `Location`, or have a webhook told.

    With `Prefer: wait=N` a new transfer is waited for: 200 with how it ended, or 202 if it is still queued after that.
    """
    key = parse_key(idempotency_key)
    asked_for = asked.requested(owner_id=caller.owner_id, idempotency_key=key)
    seconds = wait_seconds(prefer) if prefer else None
    if seconds is None:
        return answers.accepted(await _accept(asked_for, parts=parts, body_bytes=body_bytes), key=key)
    with parts.endings.watch([asked_for.transfer_id] if seconds else []) as watch:
        acceptance = await _accept(asked_for, parts=parts, body_bytes=body_bytes)
        if not isinstance(acceptance, Accepted) or acceptance.replayed:
            return answers.accepted(acceptance, key=key)
        await watch.wait(seconds_max=seconds)
    held = waited(seconds, was_refused=watch.was_refused)
    if ended := watch.endings.get(asked_for.transfer_id):
        return answers.accepted_and_ended(acceptance.transfer, ending=ended.ending, key=key, waited=held)
    return answers.accepted(acceptance, key=key, waited=held)


async def _accept(asked_for: TransferRequest, *, parts: Parts, body_bytes: int) -> Acceptance:
    acceptance = await parts.intake.accept(asked_for, body_bytes=body_bytes)
    if parts.settings.log_transfers and isinstance(acceptance, Accepted):
        # With the request's id, which is bound to its task: what leads from there to the webhook's line.
        log.info("transfer.accepted", transfer_id=str(acceptance.transfer.id), replayed=acceptance.replayed)
    return acceptance


@router.get(
    "/v1/transfers",
    summary="List transfers",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_transfers(
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    tx: InTransaction,
    asked: FromPage,
    status: Annotated[Status | None, Query()] = None,
    reference: Annotated[PlainText | None, Query(max_length=64)] = None,
    idempotency_key: Annotated[PlainText | None, Query(max_length=255)] = None,
    wallet_id: Annotated[Id | None, Query(description="Either end of the transfer.")] = None,
) -> dict[str, Any]:
    """List what the caller sent, and what they received, newest first."""
    filters = TransferFilters(status=status, reference=reference, idempotency_key=idempotency_key, wallet_id=wallet_id)
    binding = (status, reference, idempotency_key, str(wallet_id))
    listing = Listing(name="transfers", owner_id=str(caller.owner_id), filters=binding)
    before = listing.position(asked.cursor, read=number)
    rows = await list_transfers(
        tx,
        viewer_id=caller.owner_id,
        filters=filters,
        before=before,
        limit=asked.rows_to_read,
    )
    return asked.page(
        rows,
        listing=listing,
        position=lambda standing: standing.transfer.position,
        show=partial(answers.show, viewer_id=caller.owner_id),
    )


@router.get(
    "/v1/transfers/{transfer_id}",
    summary="Show a transfer",
    response_model=dict[str, Any],
    responses=problems.documented(NotAuthenticated, ScopeMissing, TransferNotFound, ServiceUnavailable),
)
async def get_transfer(
    transfer_id: Id,
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    parts: FromParts,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show how a transfer stands: from the moment of its 202 on, and also if it failed.

    With `Prefer: wait=N` the answer is held until it has ended, or until it differs from what `If-None-Match` names.
    """
    seconds = wait_seconds(prefer)
    with parts.endings.watch([transfer_id] if seconds else []) as watch:
        standing = await parts.readings.read(transfer_id, viewer_id=caller.owner_id)
        if standing is None:
            raise TransferNotFound
        if standing.ending is None and is_old(entity_tag(standing.version), if_none_match=if_none_match):
            await watch.wait(seconds_max=seconds or 0)
    if ended := watch.endings.get(transfer_id):
        standing = StandingTransfer(transfer=standing.transfer, ending=ended.ending)
    held = waited(seconds, was_refused=watch.was_refused)
    return answers.reading(standing, viewer_id=caller.owner_id, if_none_match=if_none_match, waited=held)


@router.get(
    "/v1/transfers/{transfer_id}/events",
    summary="List or stream a transfer's events",
    response_model=dict[str, Any],
    responses=problems.documented(NotAuthenticated, ScopeMissing, TransferNotFound, ServiceUnavailable),
)
async def get_transfer_events(
    transfer_id: Id,
    caller: Annotated[Caller, needs(TRANSFERS_READ)],
    parts: FromParts,
    watch: WatchForStream,
    request: Request,
    response: Response,
    last_event_id: Annotated[str | None, Header(description="The `id` of the last event of an earlier stream.")] = None,
) -> Response | dict[str, Any]:
    """List each status that a transfer had, oldest first, to those who may see the transfer.

    The first is always the acceptance, `transfer.queued`: no event, so its `id` is null. Those that follow are the
    events that webhooks tell, under the same ids.

    With `Accept: text/event-stream` a stream of Server-Sent Events instead. It opens with how the transfer stands and
    closes once it has ended; `data` is the transfer, `event` the type, and the ending's `id` the event's.
    """
    standing = await parts.readings.read(transfer_id, viewer_id=caller.owner_id)
    if standing is None:
        raise TransferNotFound
    history: list[TransferEvent] = []
    if standing.ending is not None:
        async with parts.engine.connect() as tx:
            history = await list_transfer_events(tx, transfer_id)
    headers = {**answers.CACHED_BY_CALLER, "Vary": "Accept"}
    if watch is None:
        response.headers.update(headers)
        return {"data": show_history(standing.transfer, history)}
    ended = None
    if standing.ending is not None:
        (event,) = history
        if last_event_id == event_name(event.id):
            return Response(status_code=204, headers=headers)
        ended = EndedTransfer(transfer_id=transfer_id, event_id=event.id, ending=standing.ending)
    told = stream.tell(
        standing.transfer,
        ended=ended,
        viewer_id=caller.owner_id,
        watch=watch,
        ping_seconds=parts.settings.stream_ping_seconds,
        is_let_in=partial(is_still_let_in, request, parts=parts),
    )
    return EventSourceResponse(told, headers=headers)
