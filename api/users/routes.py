"""Sign up, log in, and look at one's own account."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordRequestForm

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.parts import FromParts, InTransaction
from api.strict import Currency, StrictRoute
from api.users.schemas import SignUp, show_user
from api.users.sign_up import HOME_CURRENCY, sign_up
from api.users.tokens import LIFETIME
from api.wallets.schemas import show_balance
from shared.database.users import read_user, read_user_by_email
from shared.database.wallets import read_personal_wallet
from shared.domain import wire
from shared.domain.errors import (
    EmailTaken,
    NotAuthenticated,
    OutcomeUnknown,
    QueueUnavailable,
    ScopeMissing,
    ServiceUnavailable,
    WalletNotFound,
)
from shared.domain.scope import WALLETS_READ

router = APIRouter(tags=["users"], route_class=StrictRoute, generate_unique_id_function=operation_id)
token_router = APIRouter(tags=["users"], generate_unique_id_function=operation_id)


@router.post(
    "/v1/users",
    summary="Sign up",
    status_code=201,
    responses=problems.documented(EmailTaken, QueueUnavailable, OutcomeUnknown),
)
async def post_user(asked: SignUp, parts: FromParts) -> dict[str, Any]:
    """Sign up: a wallet in taka and an opening grant, which this call waits for (up to 5 s)."""
    signed_up = await sign_up(parts, name=asked.name, email=asked.email, pin=asked.pin)
    grant = signed_up.opening_grant
    return {
        **show_user(signed_up.user),
        "wallet_id": str(signed_up.wallet_id),
        "opening_grant": wire.reading(grant.transfer, ending=grant.ending, viewer_id=signed_up.user.id),
    }


@token_router.post(
    "/v1/token",
    summary="Log in",
    responses={400: {"description": "`invalid_grant`: the email or the PIN is wrong (RFC 6749)."}},
)
async def post_token(form: Annotated[OAuth2PasswordRequestForm, Depends()], parts: FromParts) -> JSONResponse:
    """Log in: `username` is the email, `password` the PIN. Works with the Authorize button."""
    # The connection is given back before the hash is computed: that takes longer than everything else.
    async with parts.engine.connect() as tx:
        user = await read_user_by_email(tx, form.username.casefold()) if form.username.isprintable() else None
    if not await parts.pins.verify(form.password, pin_hash=user.pin_hash if user else None) or user is None:
        refusal = {"error": "invalid_grant", "error_description": "The email or the PIN is wrong."}
        return JSONResponse(refusal, status_code=400, headers={"Cache-Control": "no-store"})
    answer = {
        "access_token": parts.tokens.issue(user.id),
        "token_type": "bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "scope": "",
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@router.get(
    "/v1/users/me",
    summary="Show who is logged in",
    responses=problems.documented(NotAuthenticated, ScopeMissing, ServiceUnavailable),
)
async def get_me(caller: Annotated[Caller, needs(WALLETS_READ)], tx: InTransaction) -> dict[str, Any]:
    """Show who is logged in."""
    user = await read_user(tx, caller.owner_id)
    if user is None:
        raise NotAuthenticated
    return show_user(user)


@router.get(
    "/v1/users/me/balance",
    summary="Show one's own balance",
    responses=problems.documented(NotAuthenticated, ScopeMissing, WalletNotFound, ServiceUnavailable),
)
async def get_my_balance(
    caller: Annotated[Caller, needs(WALLETS_READ)],
    tx: InTransaction,
    currency: Annotated[Currency, Query()] = HOME_CURRENCY,
) -> dict[str, Any]:
    """Show what one's own wallet holds, in minor units."""
    wallet = await read_personal_wallet(tx, caller.owner_id, currency=currency)
    if wallet is None:
        raise WalletNotFound
    return show_balance(wallet)
