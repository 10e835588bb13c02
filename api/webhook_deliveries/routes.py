"""Look at what endpoints were sent, and have it sent again. Operators may, for anybody's."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import FromPage, Listing
from api.parts import FromParts, InTransaction
from api.strict import Id, StrictRoute
from api.webhook_endpoints.schemas import EventType, NewRecovery, show_attempt, show_delivery, show_recovery
from shared.database.endpoints import WebhookEndpoint, probe_at_once, read_endpoint
from shared.database.pings import owe_ping
from shared.database.recoveries import request_recovery
from shared.database.sent import SentDelivery, list_attempts, list_deliveries, read_delivery, resend
from shared.domain.attempt import ATTEMPTS_MAX, DeliveryStatus
from shared.domain.errors import (
    CursorInvalid,
    DeliveryNotFound,
    EndpointDisabled,
    EndpointNotFound,
    NotAuthenticated,
    RecoveryUnderWay,
    ResendLimitReached,
    ScopeMissing,
    ServiceUnavailable,
)
from shared.domain.scope import WEBHOOKS_MANAGE
from shared.identifiers import new_id
from shared.queue import DELIVER

router = APIRouter(tags=["webhook endpoints"], route_class=StrictRoute, generate_unique_id_function=operation_id)

# The wake-up is sent once the transaction is over: what is not committed cannot be found.


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries",
    summary="List a webhook endpoint's deliveries",
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, CursorInvalid, ServiceUnavailable),
)
async def get_deliveries(
    endpoint_id: Id,
    caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)],
    tx: InTransaction,
    asked: FromPage,
    status: Annotated[DeliveryStatus | None, Query()] = None,
    event_type: Annotated[EventType | None, Query()] = None,
) -> dict[str, Any]:
    """List what an endpoint was sent or is owed, newest first."""
    endpoint = await _endpoint(tx, endpoint_id, caller=caller)
    listing = Listing(name=f"deliveries to {endpoint_id}", owner_id=str(caller.owner_id), filters=(status, event_type))
    before = listing.position(asked.cursor, read=UUID)
    rows = await list_deliveries(
        tx,
        endpoint_id,
        owner_id=endpoint.owner_id,
        status=status,
        event_type=event_type,
        before=before,
        limit=asked.rows_to_read,
    )
    return asked.page(rows, listing=listing, position=lambda delivery: delivery.event_id, show=show_delivery)


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}",
    summary="Show a delivery",
    responses=problems.documented(
        NotAuthenticated, ScopeMissing, EndpointNotFound, DeliveryNotFound, ServiceUnavailable
    ),
)
async def get_delivery(
    endpoint_id: Id, delivery_id: Id, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], tx: InTransaction
) -> dict[str, Any]:
    """Show how a delivery stands, with every attempt: when, for how long, and what came of it."""
    await _endpoint(tx, endpoint_id, caller=caller)
    return await _show(tx, await _delivery(tx, delivery_id, endpoint_id=endpoint_id))


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend",
    summary="Send a delivery again",
    status_code=202,
    responses=problems.documented(
        NotAuthenticated,
        ScopeMissing,
        EndpointNotFound,
        DeliveryNotFound,
        EndpointDisabled,
        ResendLimitReached,
        ServiceUnavailable,
    ),
)
async def post_resend(
    endpoint_id: Id, delivery_id: Id, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], parts: FromParts
) -> dict[str, Any]:
    """Send a delivery now, whatever became of it: the same bytes under the same id, on a new schedule if it fails."""
    async with parts.engine.begin() as tx:
        await _enabled(tx, endpoint_id, caller=caller)
        delivery = await _delivery(tx, delivery_id, endpoint_id=endpoint_id)
        if delivery.attempts >= ATTEMPTS_MAX:
            raise ResendLimitReached
        await resend(tx, delivery_id)
        await probe_at_once(tx, endpoint_id)
        shown = await _show(tx, await _delivery(tx, delivery_id, endpoint_id=endpoint_id))
    parts.wake_ups.send(DELIVER)
    return shown


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/test",
    summary="Send a webhook endpoint a ping",
    status_code=202,
    responses=problems.documented(
        NotAuthenticated, ScopeMissing, EndpointNotFound, EndpointDisabled, ServiceUnavailable
    ),
)
async def post_test(
    endpoint_id: Id, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], parts: FromParts
) -> dict[str, Any]:
    """Send a `ping` now, to whatever the endpoint listens; the answer is its delivery."""
    async with parts.engine.begin() as tx:
        endpoint = await _enabled(tx, endpoint_id, caller=caller)
        # The endpoint before lane 0, which owing takes: in the order of whoever disables one and tells of it.
        await probe_at_once(tx, endpoint_id)
        delivery_id = await owe_ping(tx, endpoint_id, owner_id=endpoint.owner_id)
        shown = await _show(tx, await _delivery(tx, delivery_id, endpoint_id=endpoint_id))
    parts.wake_ups.send(DELIVER)
    return shown


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/recover",
    summary="Send what was not delivered",
    status_code=202,
    responses=problems.documented(
        NotAuthenticated, ScopeMissing, EndpointNotFound, EndpointDisabled, RecoveryUnderWay, ServiceUnavailable
    ),
)
async def post_recovery(
    endpoint_id: Id, asked: NewRecovery, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], tx: InTransaction
) -> dict[str, Any]:
    """Send what happened in a window of time and was not delivered, soon.

    It was given up, or the endpoint was disabled when it happened. What happened before the endpoint was added is not
    owed to it, and what happened more than ninety days ago is forgotten. A disabled endpoint has to be enabled first.
    """
    if asked.until is not None and asked.until <= asked.since:
        raise RequestValidationError([{"type": "window_empty", "loc": ("body", "until"), "msg": "must be after since"}])
    await _enabled(tx, endpoint_id, caller=caller)
    recovery = await request_recovery(tx, new_id(), endpoint_id=endpoint_id, since=asked.since, until=asked.until)
    if recovery is None:
        raise RecoveryUnderWay
    return show_recovery(recovery)


async def _endpoint(tx: AsyncConnection, endpoint_id: UUID, *, caller: Caller) -> WebhookEndpoint:
    endpoint = await read_endpoint(tx, endpoint_id, owner_id=None if caller.is_operator else caller.owner_id)
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


async def _enabled(tx: AsyncConnection, endpoint_id: UUID, *, caller: Caller) -> WebhookEndpoint:
    endpoint = await _endpoint(tx, endpoint_id, caller=caller)
    if endpoint.disabled_at is not None:
        raise EndpointDisabled
    return endpoint


async def _delivery(tx: AsyncConnection, delivery_id: UUID, *, endpoint_id: UUID) -> SentDelivery:
    delivery = await read_delivery(tx, delivery_id, endpoint_id=endpoint_id)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


async def _show(tx: AsyncConnection, delivery: SentDelivery) -> dict[str, Any]:
    attempts = await list_attempts(tx, delivery.id)
    return {**show_delivery(delivery), "attempts": [show_attempt(attempt) for attempt in attempts]}
