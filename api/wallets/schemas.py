"""Shape what is sent and answered about wallets."""

from typing import Annotated, Any

from pydantic import Field

from api.strict import Currency, PlainText, StrictModel
from shared.database.wallets import Wallet, WalletEntry
from shared.domain import wire

OPEN_AT_ONCE_MAX = 1_000

ExternalId = Annotated[PlainText, Field(min_length=1, max_length=200)]


class NewWallet(StrictModel):
    """A wallet to open. Operators give each a name of their own; people have one a currency, without a name."""

    currency: Currency
    external_id: ExternalId | None = None


def show_wallet(wallet: Wallet) -> dict[str, Any]:
    """Show a wallet to its owner."""
    return {
        "id": str(wallet.id),
        "owner_id": str(wallet.owner_id),
        "kind": wallet.kind,
        "currency": wallet.currency,
        "external_id": wallet.external_id,
        "balance": wallet.balance,
        "floor": wallet.floor,
        "entry_count": wallet.entry_count,
        "created_at": wire.moment(wallet.created_at),
    }


def show_balance(wallet: Wallet) -> dict[str, Any]:
    """Show what a wallet holds."""
    return {"wallet_id": str(wallet.id), "currency": wallet.currency, "balance": wallet.balance}


def show_entry(entry: WalletEntry) -> dict[str, Any]:
    """Show one movement."""
    return {
        "number": entry.number,
        "amount": entry.amount,
        "balance_after": entry.balance_after,
        "transfer_id": str(entry.transfer_id),
        "created_at": wire.moment(entry.created_at),
    }
