"""Sign up, and look at one's own account."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.parts import FromParts, InTransaction
from api.sign_ins import admit
from api.strict import Currency, StrictRoute
from api.users.schemas import SignUp, show_user
from api.users.sign_up import HOME_CURRENCY, sign_up
from api.wallets.schemas import show_balance
from shared.database.users import read_user
from shared.database.wallets import read_personal_wallet
from shared.domain import wire
from shared.domain.errors import (
    EmailTaken,
    NotAuthenticated,
    OutcomeUnknown,
    QueueUnavailable,
    ScopeMissing,
    ServiceUnavailable,
    TooBusy,
    TooManyAttempts,
    WalletNotFound,
)
from shared.domain.scope import WALLETS_READ

router = APIRouter(tags=["users"], route_class=StrictRoute, generate_unique_id_function=operation_id)


@router.post(
    "/v1/users",
    summary="Sign up",
    status_code=201,
    responses=problems.documented(EmailTaken, TooManyAttempts, TooBusy, QueueUnavailable, OutcomeUnknown),
)
async def post_user(asked: SignUp, request: Request, parts: FromParts) -> dict[str, Any]:
    """Sign up: a wallet in taka and an opening grant, which this call waits for (up to 5 s).

    After a 503 `outcome_unknown` or without an answer, and when sending it again brings 409 `email_taken`: log in.
    Success means that it was you. A PIN that anybody would try first is refused (`pin_too_common`).
    """
    admit(request, parts=parts)
    signed_up = await sign_up(parts, name=asked.name, email=asked.email, pin=asked.pin)
    grant = signed_up.opening_grant
    return {
        **show_user(signed_up.user),
        "wallet_id": str(signed_up.wallet_id),
        "opening_grant": wire.reading(grant.transfer, ending=grant.ending, viewer_id=signed_up.user.id),
    }


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
