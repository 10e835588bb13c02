"""Register who listens, and look at what they were sent."""

import secrets
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import Cursor, Limit, Listing, page
from api.parts import FromParts, InTransaction
from api.strict import Id, StrictRoute
from api.webhook_endpoints.schemas import NewEndpoint, show_delivery, show_endpoint
from shared.database.endpoints import (
    add_endpoint,
    delete_endpoint,
    list_attempts,
    list_deliveries,
    list_endpoints,
    read_endpoint,
)
from shared.domain import webhook_url
from shared.domain.errors import (
    CursorInvalid,
    EndpointLimitReached,
    EndpointNotFound,
    NotAuthenticated,
    ScopeMissing,
    ServiceUnavailable,
)
from shared.domain.scope import WEBHOOKS_MANAGE
from shared.domain.signature import SECRET_BYTES, spell_secret
from shared.identifiers import new_id

router = APIRouter(tags=["webhook endpoints"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.post(
    "/v1/webhook-endpoints",
    summary="Add a webhook endpoint",
    status_code=201,
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointLimitReached, ServiceUnavailable),
)
async def post_endpoint(
    asked: NewEndpoint, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], tx: InTransaction, parts: FromParts
) -> dict[str, Any]:
    """Listen from now on. The secret is in this answer and in no other: keep it, to verify what you receive.

    After a 503, or without an answer, list your endpoints first: this one may have been made, and sending it again
    makes a second. Delete the one whose secret you were not told.
    """
    if problem := webhook_url.problem(asked.url, https_only=parts.settings.webhook_https_only):
        raise RequestValidationError([{"type": "url_not_allowed", "loc": ("body", "url"), "msg": problem}])
    secret = secrets.token_bytes(SECRET_BYTES)
    endpoint = await add_endpoint(
        tx,
        new_id(),
        owner_id=caller.owner_id,
        url=asked.url,
        description=asked.description,
        event_types=asked.event_types,
        secret_encrypted=parts.endpoint_secrets.encrypt(secret),
    )
    if endpoint is None:
        raise EndpointLimitReached
    return {**show_endpoint(endpoint), "secret": spell_secret(secret)}


@router.get(
    "/v1/webhook-endpoints",
    summary="List webhook endpoints",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_endpoints(
    caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)],
    tx: InTransaction,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> dict[str, Any]:
    """List one's own endpoints, newest first."""
    listing = Listing(name="webhook endpoints", owner_id=str(caller.owner_id))
    before = listing.position(cursor, read=UUID)
    rows = await list_endpoints(tx, caller.owner_id, before=before, limit=limit + 1)
    return page(
        rows,
        limit=limit,
        listing=listing,
        position=lambda endpoint: endpoint.id,
        show=show_endpoint,
        request=request,
        response=response,
    )


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Show a webhook endpoint",
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, ServiceUnavailable),
)
async def get_endpoint(
    endpoint_id: Id, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], tx: InTransaction
) -> dict[str, Any]:
    """Show one of one's own endpoints."""
    endpoint = await read_endpoint(tx, endpoint_id, owner_id=caller.owner_id)
    if endpoint is None:
        raise EndpointNotFound
    return show_endpoint(endpoint)


@router.delete(
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Delete a webhook endpoint",
    status_code=204,
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, ServiceUnavailable),
)
async def remove_endpoint(
    endpoint_id: Id, caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)], tx: InTransaction
) -> None:
    """Listen no more. What was not delivered yet is not delivered."""
    if not await delete_endpoint(tx, endpoint_id, owner_id=caller.owner_id):
        raise EndpointNotFound


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries",
    summary="List a webhook endpoint's deliveries",
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, CursorInvalid, ServiceUnavailable),
)
async def get_deliveries(
    endpoint_id: Id,
    caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)],
    tx: InTransaction,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> dict[str, Any]:
    """List what one of one's own endpoints was sent or is owed, newest first, with every attempt."""
    if await read_endpoint(tx, endpoint_id, owner_id=caller.owner_id) is None:
        raise EndpointNotFound
    listing = Listing(name=f"deliveries to {endpoint_id}", owner_id=str(caller.owner_id))
    before = listing.position(cursor, read=UUID)
    rows = await list_deliveries(tx, endpoint_id, before=before, limit=limit + 1)
    attempts = await list_attempts(tx, [delivery.id for delivery in rows])
    return page(
        rows,
        limit=limit,
        listing=listing,
        position=lambda delivery: delivery.event_id,
        show=lambda delivery: show_delivery(delivery, attempts),
        request=request,
        response=response,
    )
