"""Say what a caller asked for, and how a request to accept it can end."""

from dataclasses import dataclass
from uuid import UUID

from shared.domain.errors import RequestRefused
from shared.domain.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """A transfer as it was asked for, checked for form but not yet against any wallet.

    Attributes:
        transfer_id: The id it gets if it is accepted.
        owner_id: Who asks; the source wallet has to be theirs.
        idempotency_key: None for transfers that come with something else that is unique, as a sign-up.
        fingerprint: Of the fields that were sent, where there is a key.
        source_wallet_id: None for the owner's personal wallet in the currency.
        destination_wallet_id: Given, or else `destination_email` is.
    """

    transfer_id: UUID
    owner_id: UUID
    idempotency_key: str | None
    fingerprint: bytes | None
    source_wallet_id: UUID | None
    destination_wallet_id: UUID | None
    destination_email: str | None
    amount_minor: int
    currency: str
    reference: str | None
    note: str | None
    metadata: dict[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The transfer stands in the ledger's queue. `replayed` says that an earlier request with this key put it there."""

    transfer: Transfer
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was written, for a reason that the caller is told."""

    reason: RequestRefused


Acceptance = Accepted | Refused
