"""Plan the load: which wallet pays which, so that a known share is refused and somebody's webhook is owed. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from shared.domain.acceptance import TransferRequest
from shared.domain.idempotency import fingerprint
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id

CURRENCY = "BDT"
AMOUNT_MINOR = 100

WALLETS = 10_000
POOR_WALLETS = 20
FUNDS_MINOR = 1_000_000_000
POOR_FUNDS_MINOR = 3 * AMOUNT_MINOR
"""Enough for three transfers; every later one out of the wallet has to be refused, and the first three must not be."""

REFUSED_SHARE = 0.05
TOLD_SHARE = 0.01
"""Transfers that go to the one who has subscribed an endpoint, so that webhooks are written and sent meanwhile."""


class Payment(NamedTuple):
    """A transfer to be sent."""

    source: str
    destination: str
    amount: int
    key: str

    def body(self) -> dict[str, Any]:
        """Give what is sent over HTTP."""
        return {
            "source_wallet_id": self.source,
            "destination_wallet_id": self.destination,
            "amount": self.amount,
            "currency": CURRENCY,
        }

    def request(self) -> TransferRequest:
        """Give what the edge makes of it."""
        return TransferRequest(
            transfer_id=new_id(),
            owner_id=OPERATORS_OWNER_ID,
            idempotency_key=self.key,
            fingerprint=fingerprint(self.body()),
            source_wallet_id=UUID(self.source),
            destination_wallet_id=UUID(self.destination),
            destination_email=None,
            amount_minor=self.amount,
            currency=CURRENCY,
            reference=None,
            note=None,
            metadata=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallets:
    """Who there is to pay.

    Attributes:
        spread: Ten thousand with ample funds, all of the operators'.
        poor: A few with funds for three transfers, into which nobody pays.
        told: Of somebody else, who has subscribed an endpoint.
    """

    issuance: str
    spread: tuple[str, ...]
    poor: tuple[str, ...]
    told: str

    @property
    def hot(self) -> str:
        """The one that everything goes into, or out of."""
        return self.spread[0]


def payments(wallets: Wallets, *, label: str, into: str | None = None, out_of: str | None = None) -> Iterator[Payment]:
    """Plan payments without end, the same for the same label; spread evenly unless one end is given."""
    chance = random.Random(label)
    while True:
        lot = chance.random()
        source = chance.choice(wallets.poor) if lot < REFUSED_SHARE else out_of or chance.choice(wallets.spread)
        told = lot > 1 - TOLD_SHARE
        destination = wallets.told if told else into or chance.choice(wallets.spread)
        if source != destination:
            # As callers' keys are: in no order, so that the index over them is written all over.
            yield Payment(source, destination, AMOUNT_MINOR, f"{chance.getrandbits(128):032x}")
