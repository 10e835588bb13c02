"""Make, list and revoke API keys: what a program calls with, in the place of a person who logs in."""

import secrets
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError

from api import problems
from api.api_keys.schemas import NewKey, show_key
from api.caller import needs
from api.known_callers import Caller
from api.operations import operation_id
from api.paging import FromPage, Listing
from api.parts import InTransaction
from api.strict import Id, StrictRoute
from shared import clock
from shared.database.api_keys import add_key, list_keys, revoke_key
from shared.domain.api_key import KEY_BYTES, KEY_PREFIX, hash_key
from shared.domain.errors import (
    ApiKeyLimitReached,
    ApiKeyNotFound,
    CursorInvalid,
    NotAuthenticated,
    ScopeMissing,
    ServiceUnavailable,
)
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import KEYS_MANAGE, OPERATOR, TRANSFERS_WRITE
from shared.identifiers import new_id

log = structlog.get_logger()

router = APIRouter(tags=["API keys"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.post(
    "/v1/api-keys",
    summary="Make an API key",
    status_code=201,
    responses=problems.documented(NotAuthenticated, ScopeMissing, ApiKeyLimitReached, ServiceUnavailable),
)
async def post_key(asked: NewKey, caller: Annotated[Caller, needs(KEYS_MANAGE)], tx: InTransaction) -> dict[str, Any]:
    """Make a key. It is in this answer and in no other. It can be given no scope that its maker does not have.

    Keys are made with a person's token or an operator's key. After a 503, or without an answer, list your keys first:
    this one may have been made, and nobody has it.
    """
    _check(asked, caller=caller)
    key = f"{KEY_PREFIX}{secrets.token_urlsafe(KEY_BYTES)}"
    made = await add_key(
        tx,
        new_id(),
        owner_id=caller.owner_id,
        key_hash=hash_key(key),
        name=asked.name,
        scopes=sorted(set(asked.scopes)),
        expires_at=asked.expires_at,
    )
    if made is None:
        raise ApiKeyLimitReached
    return {**show_key(made), "key": key}


@router.get(
    "/v1/api-keys",
    summary="List API keys",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_keys(
    caller: Annotated[Caller, needs(KEYS_MANAGE)],
    tx: InTransaction,
    asked: FromPage,
) -> dict[str, Any]:
    """List one's own keys, newest first, those that have expired too; `last_used_at` is right to about a minute."""
    listing = Listing(name="API keys", owner_id=str(caller.owner_id))
    before = listing.position(asked.cursor, read=UUID)
    rows = await list_keys(tx, caller.owner_id, before=before, limit=asked.rows_to_read)
    return asked.page(rows, listing=listing, position=lambda key: key.id, show=show_key)


@router.delete(
    "/v1/api-keys/{key_id}",
    summary="Revoke an API key",
    status_code=204,
    responses=problems.documented(NotAuthenticated, ScopeMissing, ApiKeyNotFound, ServiceUnavailable),
)
async def remove_key(key_id: Id, caller: Annotated[Caller, needs(KEYS_MANAGE)], tx: InTransaction) -> None:
    """Revoke a key. It stops within five seconds, and its place is free at once."""
    if not await revoke_key(tx, key_id, owner_id=caller.owner_id):
        raise ApiKeyNotFound
    # After a restore to an earlier time the key is alive again, and the log alone knows (docs/runbooks/restored.md).
    log.info("api_key.revoked", key_id=str(key_id))


def _check(asked: NewKey, *, caller: Caller) -> None:
    if not caller.scopes.issuperset(asked.scopes):
        raise ScopeMissing
    if asked.expires_at is not None and asked.expires_at <= clock.now():
        raise _invalid("expires_at", code="in_the_past", message="must be in the future")
    # Issuance is among the operators' own wallets, so sending from those is for those who may issue money.
    if caller.owner_id == OPERATORS_OWNER_ID and TRANSFERS_WRITE in asked.scopes and OPERATOR not in asked.scopes:
        message = f"an operators' key with {TRANSFERS_WRITE} needs {OPERATOR} too: it may send from issuance"
        raise _invalid("scopes", code="operator_missing", message=message)


def _invalid(field: str, *, code: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": code, "loc": ("body", field), "msg": message}])
