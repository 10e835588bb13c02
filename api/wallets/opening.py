"""Open wallets, safely repeated: one that exists is answered as it stands."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.caller import Caller
from api.wallets.schemas import NewWallet
from shared.database.wallets import (
    OpenWallet,
    Wallet,
    open_wallets,
    read_currencies,
    read_personal_wallet,
    read_wallets_by_external_id,
)
from shared.domain.errors import (
    CurrencyUnknown,
    ExternalIdMissing,
    ExternalIdTaken,
    RequestRefused,
    ScopeMissing,
)
from shared.identifiers import new_id

Opening = tuple[int, Wallet] | RequestRefused
"""A wallet with 201 if it is new and 200 if it was there, or why there is none."""


async def open_one(tx: AsyncConnection, asked: NewWallet, *, caller: Caller) -> tuple[int, Wallet]:
    """Open one wallet.

    Raises:
        RequestRefused: See `open_many`.
    """
    (opening,) = await open_many(tx, [asked], caller=caller)
    if isinstance(opening, RequestRefused):
        raise opening
    return opening


async def open_many(tx: AsyncConnection, asked: Sequence[NewWallet], *, caller: Caller) -> list[Opening]:
    """Open wallets, each answered alone, in the order given.

    Returns:
        `CurrencyUnknown`, `ExternalIdTaken` (it has another currency), `ScopeMissing` (a person gave a name) and
        `ExternalIdMissing` (an operator gave none) in the place of a wallet.
    """
    currencies = await read_currencies(tx)
    refused = [_refusal(wallet, caller=caller, currencies=currencies.keys()) for wallet in asked]
    wanted: dict[str, NewWallet] = {}
    for wallet, reason in zip(asked, refused, strict=True):
        if reason is None:
            wanted.setdefault(_name(wallet), wallet)
    new = await _open(tx, list(wanted.values()), owner_id=caller.owner_id)
    standing = await _standing(tx, [w for name, w in wanted.items() if name not in new], owner_id=caller.owner_id)
    openings: list[Opening] = []
    for wallet, reason in zip(asked, refused, strict=True):
        if reason is not None:
            openings.append(reason)
        elif opened := new.pop(_name(wallet), None):
            openings.append((201, opened))
            standing[_name(wallet)] = opened
        else:
            found = standing[_name(wallet)]
            openings.append((200, found) if found.currency == wallet.currency else ExternalIdTaken())
    return openings


def _refusal(wallet: NewWallet, *, caller: Caller, currencies: Collection[str]) -> RequestRefused | None:
    if caller.is_operator and wallet.external_id is None:
        return ExternalIdMissing()
    if not caller.is_operator and wallet.external_id is not None:
        return ScopeMissing()
    return None if wallet.currency in currencies else CurrencyUnknown()


def _name(wallet: NewWallet) -> str:
    """Name what there may be one of: an external_id for operators, a currency for people."""
    return wallet.external_id or wallet.currency


async def _open(tx: AsyncConnection, wanted: Sequence[NewWallet], *, owner_id: UUID) -> dict[str, Wallet]:
    if not wanted:
        return {}
    opened = await open_wallets(
        tx,
        [
            OpenWallet(id=new_id(), owner_id=owner_id, currency=wallet.currency, external_id=wallet.external_id)
            for wallet in wanted
        ],
    )
    return {wallet.external_id or wallet.currency: wallet for wallet in opened.values()}


async def _standing(tx: AsyncConnection, wanted: Sequence[NewWallet], *, owner_id: UUID) -> dict[str, Wallet]:
    named = [wallet.external_id for wallet in wanted if wallet.external_id is not None]
    found = await read_wallets_by_external_id(tx, owner_id, named) if named else {}
    for wallet in wanted:
        if wallet.external_id is None and (
            personal := await read_personal_wallet(tx, owner_id, currency=wallet.currency)
        ):
            found[wallet.currency] = personal
    return found
