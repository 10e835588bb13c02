"""Decide who pays whom how much in the demo. Pure: the same chance, the same payments."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NAMES: Final = (
    "Asha", "Bimal", "Chitra", "Dipak", "Farida", "Gopal", "Hasina", "Imran", "Jahanara", "Kabir", "Laila", "Monir",
)  # fmt: skip
CURRENCY: Final = "BDT"
EXPONENT: Final = 2

BATCHES_EACH: Final = 2
BATCH_PAYMENTS: Final = 75
SINGLES_EACH: Final = 50
SENDINGS_EACH: Final = BATCHES_EACH + SINGLES_EACH
PAYMENTS: Final = len(NAMES) * (BATCHES_EACH * BATCH_PAYMENTS + SINGLES_EACH)

AMOUNT_MINOR_MAX: Final = 1_500
"""Nobody runs out by such payments, even who makes all and is paid none: 200 of them are below the 5,000.00 granted."""

TOO_MUCH_MINOR: Final = 10_000_000
"""More than all have together."""

TOO_MUCH_EVERY: Final = 10
"""Of the requests: so many hold such a payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One person's payment to another, both by their place in `NAMES`."""

    payer: int
    payee: int
    amount_minor: int

    @property
    def is_too_much(self) -> bool:
        """Tell whether nobody can have so much."""
        return self.amount_minor == TOO_MUCH_MINOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One request: a payment alone, or a batch of them. The key stands for it, however often it is sent."""

    payer: int
    key: str
    payments: Sequence[Payment]


def sendings(chance: random.Random) -> list[Sending]:
    """Return all there is to send, in no particular order."""
    made = [_sending(payer, number, chance=chance) for payer in range(len(NAMES)) for number in range(SENDINGS_EACH)]
    chance.shuffle(made)
    return made


def _sending(payer: int, number: int, *, chance: random.Random) -> Sending:
    payees = [other for other in range(len(NAMES)) if other != payer]
    size = BATCH_PAYMENTS if number < BATCHES_EACH else 1
    amounts = [chance.randint(1, AMOUNT_MINOR_MAX) for _ in range(size)]
    if number % TOO_MUCH_EVERY == 0:
        amounts[-1] = TOO_MUCH_MINOR
    made = [Payment(payer=payer, payee=chance.choice(payees), amount_minor=amount_minor) for amount_minor in amounts]
    return Sending(payer=payer, key=f"demo-{payer}-{number}", payments=made)
