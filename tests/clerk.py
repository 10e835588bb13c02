"""Reckon as one clerk would who works alone, with a pencil: a page for each wallet, one transfer after the other. Pure.

The sequential model that the ledger is compared with by tests/properties, tests/simulation and tests/load.
Nothing of the project's own deciding is used: a defect there must not excuse itself.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

BALANCE_LIMIT: Final = 10**18
INSUFFICIENT_FUNDS: Final = "insufficient_funds"
LIMIT_EXCEEDED: Final = "limit_exceeded"

Wallet = TypeVar("Wallet", bound=Hashable)


class Balance(NamedTuple):
    """What a wallet held before, and below which it must not go (None: no limit)."""

    amount: int
    floor: int | None


class Line(NamedTuple):
    """A movement, as it stands on a wallet's page."""

    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk(Generic[Wallet]):
    """One who works through transfers in the order they are given."""

    opening: Mapping[Wallet, Balance]
    pages: dict[Wallet, list[Line]] = field(default_factory=dict[Wallet, list[Line]])

    def apply(self, source: Wallet, destination: Wallet, amount: int) -> str | None:
        """Move the money and return None, or say why it does not move."""
        least = self.opening[source].floor
        if least is not None and self.balance(source) < least + amount:
            return INSUFFICIENT_FUNDS
        if self.balance(destination) > BALANCE_LIMIT - amount or self.balance(source) < amount - BALANCE_LIMIT:
            return LIMIT_EXCEEDED
        for wallet, moved in ((source, -amount), (destination, amount)):
            self.pages.setdefault(wallet, []).append(Line(moved, self.balance(wallet) + moved))
        return None

    def balance(self, wallet: Wallet) -> int:
        """Look at the last line of a page."""
        page = self.pages.get(wallet)
        return page[-1].balance_after if page else self.opening[wallet].amount
