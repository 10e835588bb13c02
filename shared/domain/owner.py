"""Say who owns what: people own their wallets, and the operators own those that issue money, together."""

from typing import Final
from uuid import UUID

OPERATORS_OWNER_ID: Final = UUID(int=1)
"""The one owner behind every operator's key: of the issuance wallets, and of those that operators open by name.

Shared, so that whoever holds an operator's key may go on with what a colleague began; an idempotency key counts for all
of them.
"""


WALLET_PERSONAL: Final = "personal"
WALLET_OPERATOR: Final = "operator"
WALLET_ISSUANCE: Final = "issuance"
