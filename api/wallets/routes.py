"""Open wallets, and look at what they hold and what moved on them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Discriminator, Field, Tag

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import FromPage, Listing, number
from api.parts import InTransaction
from api.strict import Currency, Id, StrictRoute
from api.wallets.opening import open_many, open_one
from api.wallets.schemas import OPEN_AT_ONCE_MAX, ExternalId, NewWallet, show_entry, show_wallet
from shared.database.wallets import (
    list_entries,
    list_wallets,
    read_currencies,
    read_wallet,
    read_wallets_by_external_id,
)
from shared.domain.errors import (
    CurrencyUnknown,
    CursorInvalid,
    ExternalIdMissing,
    ExternalIdTaken,
    NotAuthenticated,
    RequestRefused,
    ScopeMissing,
    ServiceUnavailable,
    WalletNotFound,
)
from shared.domain.scope import TRANSFERS_WRITE, WALLETS_READ

router = APIRouter(tags=["wallets"], route_class=StrictRoute, generate_unique_id_function=operation_id)

Wallets = Annotated[list[NewWallet], Field(min_length=1, max_length=OPEN_AT_ONCE_MAX)]

# Told apart by form, so that what is wrong is named once, at its own place.
OneOrMany = Annotated[
    Annotated[NewWallet, Tag(problems.ONE)] | Annotated[Wallets, Tag(problems.MANY)],
    Discriminator(lambda body: problems.MANY if isinstance(body, list) else problems.ONE),
]


@router.post(
    "/v1/wallets",
    summary="Open a wallet",
    status_code=201,
    responses={
        200: {"description": "The wallet was there already; or a list, each item with a status of its own."},
        **problems.documented(
            NotAuthenticated, CurrencyUnknown, ExternalIdMissing, ExternalIdTaken, ScopeMissing, ServiceUnavailable
        ),
    },
)
async def post_wallet(
    asked: OneOrMany,
    caller: Annotated[Caller, needs(TRANSFERS_WRITE)],
    tx: InTransaction,
    request: Request,
    response: Response,
) -> dict[str, Any]:
    """Open a wallet; safe to repeat. Operators may open up to a thousand at once, each answered alone."""
    if isinstance(asked, NewWallet):
        response.status_code, wallet = await open_one(tx, asked, caller=caller)
        return show_wallet(wallet)
    if not caller.is_operator:
        raise ScopeMissing
    openings = await open_many(tx, asked, caller=caller)
    response.status_code = 200
    return {
        "data": [
            {
                "status": problems.STATUS[type(opening)],
                "problem": problems.refusal_body(request, opening, within=f"/{place}"),
            }
            if isinstance(opening, RequestRefused)
            else {"status": opening[0], "wallet": show_wallet(opening[1])}
            for place, opening in enumerate(openings)
        ]
    }


@router.get(
    "/v1/wallets",
    summary="List wallets",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_wallets(
    caller: Annotated[Caller, needs(WALLETS_READ)],
    tx: InTransaction,
    asked: FromPage,
    external_id: Annotated[list[ExternalId] | None, Query(max_length=100)] = None,
    kind: Annotated[str | None, Query(pattern="^(personal|operator|issuance)$")] = None,
    currency: Annotated[Currency | None, Query()] = None,
) -> dict[str, Any]:
    """List one's own wallets, newest first; or find those with these external_ids, all on one page."""
    if external_id:
        found = await read_wallets_by_external_id(tx, caller.owner_id, set(external_id))
        return {"data": [show_wallet(wallet) for wallet in found.values()], "has_more": False, "next_cursor": None}
    listing = Listing(name="wallets", owner_id=str(caller.owner_id), filters=(kind, currency))
    before = listing.position(asked.cursor, read=UUID)
    equal = {name: value for name, value in (("kind", kind), ("currency", currency)) if value}
    rows = await list_wallets(tx, caller.owner_id, equal=equal, before=before, limit=asked.rows_to_read)
    return asked.page(rows, listing=listing, position=lambda wallet: wallet.id, show=show_wallet)


@router.get(
    "/v1/wallets/{wallet_id}",
    summary="Show a wallet",
    responses=problems.documented(NotAuthenticated, ScopeMissing, WalletNotFound, ServiceUnavailable),
)
async def get_wallet(
    wallet_id: Id, caller: Annotated[Caller, needs(WALLETS_READ)], tx: InTransaction
) -> dict[str, Any]:
    """Show one of one's own wallets."""
    wallet = await read_wallet(tx, wallet_id, owner_id=caller.owner_id)
    if wallet is None:
        raise WalletNotFound
    return show_wallet(wallet)


@router.get(
    "/v1/wallets/{wallet_id}/entries",
    summary="List a wallet's entries",
    responses=problems.documented(NotAuthenticated, ScopeMissing, WalletNotFound, CursorInvalid, ServiceUnavailable),
)
async def get_entries(
    wallet_id: Id,
    caller: Annotated[Caller, needs(WALLETS_READ)],
    tx: InTransaction,
    asked: FromPage,
) -> dict[str, Any]:
    """List what moved on one of one's own wallets, newest first; amounts are signed."""
    if await read_wallet(tx, wallet_id, owner_id=caller.owner_id) is None:
        raise WalletNotFound
    listing = Listing(name=f"entries of {wallet_id}", owner_id=str(caller.owner_id))
    before = listing.position(asked.cursor, read=number)
    rows = await list_entries(tx, wallet_id, before=before, limit=asked.rows_to_read)
    return asked.page(rows, listing=listing, position=lambda entry: entry.number, show=show_entry)


@router.get("/v1/currencies", summary="List currencies", responses=problems.documented(ServiceUnavailable))
async def get_currencies(tx: InTransaction) -> dict[str, Any]:
    """List the currencies, and how many digits of an amount stand behind the point."""
    currencies = await read_currencies(tx)
    return {"data": [{"code": code, "exponent": exponent} for code, exponent in currencies.items()]}
