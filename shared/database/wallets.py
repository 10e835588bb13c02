"""Open wallets, and read what they hold and what moved on them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import CURRENCIES, ENTRIES, WALLETS
from shared.domain.owner import WALLET_ISSUANCE, WALLET_OPERATOR, WALLET_PERSONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """An owner's money in one currency. `balance` and `floor` are in minor units."""

    id: UUID
    owner_id: UUID
    kind: str
    currency: str
    external_id: str | None
    balance: int
    floor: int | None
    entry_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletEntry:
    """One movement on a wallet, in minor units; `amount` is signed."""

    number: int
    amount: int
    balance_after: int
    transfer_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWallet:
    """A wallet to open: a person's in a currency, or an operators' under an external_id."""

    id: UUID
    owner_id: UUID
    currency: str
    external_id: str | None


async def open_wallets(tx: AsyncConnection, asked: Sequence[OpenWallet]) -> dict[UUID, Wallet]:
    """Open wallets, all of one owner, and return those that are new, by the ids asked for.

    One that exists, or that somebody else opens at this moment, is left as it is and missing from the answer.
    """
    statement = (
        insert(WALLETS)
        .values(
            [
                {
                    "id": wallet.id,
                    "owner_id": wallet.owner_id,
                    "kind": WALLET_PERSONAL if wallet.external_id is None else WALLET_OPERATOR,
                    "currency": wallet.currency,
                    "external_id": wallet.external_id,
                    "balance": 0,
                    "floor": 0,
                    "entry_count": 0,
                    "created_at": func.statement_timestamp(),
                }
                # In one order whoever asks, so that two that open the same wallets wait instead of deadlocking.
                for wallet in sorted(asked, key=lambda wallet: (wallet.external_id or "", wallet.currency))
            ]
        )
        .on_conflict_do_nothing()
        .returning(*WALLETS.c)
    )
    return {row["id"]: Wallet(**row) for row in (await tx.execute(statement)).mappings()}


async def read_wallets_by_external_id(
    tx: AsyncConnection, owner_id: UUID, external_ids: Collection[str]
) -> dict[str, Wallet]:
    """Find an owner's wallets by the names they gave them. Index: wallets_owner_id_external_id_key."""
    statement = select(*WALLETS.c).where(WALLETS.c.owner_id == owner_id, WALLETS.c.external_id.in_(external_ids))
    return {row["external_id"]: Wallet(**row) for row in (await tx.execute(statement)).mappings()}


async def read_personal_wallet(tx: AsyncConnection, owner_id: UUID, *, currency: str) -> Wallet | None:
    """Find a person's wallet in a currency. Index: wallets_owner_id_currency_key."""
    is_theirs = and_(WALLETS.c.owner_id == owner_id, WALLETS.c.currency == currency, WALLETS.c.kind == WALLET_PERSONAL)
    row = (await tx.execute(select(*WALLETS.c).where(is_theirs))).mappings().one_or_none()
    return None if row is None else Wallet(**row)


async def read_wallet(tx: AsyncConnection, wallet_id: UUID, *, owner_id: UUID) -> Wallet | None:
    """Find a wallet, if it is this owner's."""
    statement = select(*WALLETS.c).where(WALLETS.c.id == wallet_id, WALLETS.c.owner_id == owner_id)
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else Wallet(**row)


async def list_wallets(
    tx: AsyncConnection, owner_id: UUID, *, equal: Mapping[str, str], before: UUID | None, limit: int
) -> list[Wallet]:
    """List an owner's wallets, newest first. Index: wallets_owner_id_id_idx.

    Args:
        equal: Columns (`kind`, `currency`) and what they have to be.
        before: The last id of the page before.
    """
    conditions: list[ColumnElement[bool]] = [WALLETS.c.owner_id == owner_id]
    conditions += [WALLETS.c[column] == value for column, value in equal.items()]
    if before is not None:
        conditions.append(WALLETS.c.id < before)
    statement = select(*WALLETS.c).where(*conditions).order_by(WALLETS.c.id.desc()).limit(limit)
    return [Wallet(**row) for row in (await tx.execute(statement)).mappings()]


async def list_entries(tx: AsyncConnection, wallet_id: UUID, *, before: int | None, limit: int) -> list[WalletEntry]:
    """List what moved on a wallet, newest first. Index: entries_pkey."""
    columns = [ENTRIES.c[name] for name in ("number", "amount", "balance_after", "transfer_id", "created_at")]
    conditions: list[ColumnElement[bool]] = [ENTRIES.c.wallet_id == wallet_id]
    if before is not None:
        conditions.append(ENTRIES.c.number < before)
    statement = select(*columns).where(*conditions).order_by(ENTRIES.c.number.desc()).limit(limit)
    return [WalletEntry(**row) for row in (await tx.execute(statement)).mappings()]


async def read_issued(tx: AsyncConnection) -> dict[str, int]:
    """Say how much of each currency was ever issued: what its issuance wallet is below zero, one row each."""
    statement = (
        select(WALLETS.c.currency, (-WALLETS.c.balance).label("issued"))
        .where(WALLETS.c.kind == WALLET_ISSUANCE, WALLETS.c.entry_count > 0)
        .order_by(WALLETS.c.currency)
    )
    return {row["currency"]: row["issued"] for row in (await tx.execute(statement)).mappings()}


async def read_currencies(tx: AsyncConnection) -> dict[str, int]:
    """List the currencies and their exponents."""
    statement = select(CURRENCIES.c.code, CURRENCIES.c.exponent).order_by(CURRENCIES.c.code)
    return {row["code"]: row["exponent"] for row in (await tx.execute(statement)).mappings()}
