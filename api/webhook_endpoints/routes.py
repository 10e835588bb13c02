"""Register who listens, change what they listen to, and give them new secrets."""

import secrets
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import FromPage, Listing
from api.parts import FromParts, InTransaction, Parts
from api.strict import Id, StrictRoute
from api.webhook_endpoints.schemas import EndpointChanges, NewEndpoint, Rotation, show_endpoint
from shared.database.endpoints import (
    add_endpoint,
    change_endpoint,
    delete_endpoint,
    list_endpoints,
    read_endpoint,
    rotate_secret,
)
from shared.domain import webhook_url, wire
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
    _check_url(asked.url, parts=parts)
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
    asked: FromPage,
) -> dict[str, Any]:
    """List one's own endpoints, newest first."""
    listing = Listing(name="webhook endpoints", owner_id=str(caller.owner_id))
    before = listing.position(asked.cursor, read=UUID)
    rows = await list_endpoints(tx, caller.owner_id, before=before, limit=asked.rows_to_read)
    return asked.page(rows, listing=listing, position=lambda endpoint: endpoint.id, show=show_endpoint)


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


@router.patch(
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Change a webhook endpoint",
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, ServiceUnavailable),
)
async def patch_endpoint(
    endpoint_id: Id,
    asked: EndpointChanges,
    caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)],
    tx: InTransaction,
    parts: FromParts,
) -> dict[str, Any]:
    """Change what is named.

    `enabled: false` ends what is pending. What happens until it is enabled again is not sent, but can be recovered.
    """
    if "url" in asked.model_fields_set:
        _check_url(asked.url, parts=parts)
    changes = asked.model_dump(include=asked.model_fields_set)
    endpoint = await change_endpoint(tx, endpoint_id, owner_id=caller.owner_id, changes=changes)
    if endpoint is None:
        raise EndpointNotFound
    return show_endpoint(endpoint)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/rotate-secret",
    summary="Give a webhook endpoint a new secret",
    responses=problems.documented(NotAuthenticated, ScopeMissing, EndpointNotFound, ServiceUnavailable),
)
async def post_rotation(
    endpoint_id: Id,
    asked: Rotation,
    caller: Annotated[Caller, needs(WEBHOOKS_MANAGE)],
    tx: InTransaction,
    parts: FromParts,
) -> dict[str, Any]:
    """Sign with a new secret from now on; it is in this answer and in no other.

    For the grace period the one of before signs as well: each delivery then carries two signatures, that of the new
    secret first. One from an earlier rotation ends now.
    """
    endpoint = await read_endpoint(tx, endpoint_id, owner_id=caller.owner_id)
    if endpoint is None:
        raise EndpointNotFound
    secret = secrets.token_bytes(SECRET_BYTES)
    until = await rotate_secret(
        tx,
        endpoint_id,
        secret_encrypted=parts.endpoint_secrets.encrypt(secret),
        grace_seconds=asked.grace_period_seconds,
    )
    return {
        **show_endpoint(endpoint),
        "secret": spell_secret(secret),
        "previous_secret_until": wire.moment(until),
    }


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


def _check_url(url: str, *, parts: Parts) -> None:
    if problem := webhook_url.problem(url, https_only=parts.settings.webhook_https_only):
        raise RequestValidationError([{"type": "url_not_allowed", "loc": ("body", "url"), "msg": problem}])
