"""Say what a caller asked for, and how a request to accept it can end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared.domain.batch import TransferBatch
from shared.domain.errors import RequestRefused
from shared.domain.transfer import Transfer


class TransferRequest(NamedTuple):
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

    @property
    def transfer_count(self) -> int:
        """Count the transfers that are asked for."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Transfers that are accepted together or not at all, and each applied by itself, in the order given.

    Attributes:
        batch_id: The id it gets if it is accepted.
        transfers: All of this owner's, without keys of their own.
    """

    batch_id: UUID
    owner_id: UUID
    idempotency_key: str
    fingerprint: bytes
    transfers: Sequence[TransferRequest]

    @property
    def transfer_count(self) -> int:
        """Count the transfers that are asked for."""
        return len(self.transfers)


class Accepted(NamedTuple):
    """The transfer stands in the ledger's queue. `replayed` says that an earlier request with this key put it there."""

    transfer: Transfer
    replayed: bool

    @property
    def fresh_source_ids(self) -> Sequence[UUID]:
        """Name the wallets whose lanes have more work now."""
        return () if self.replayed else (self.transfer.source_wallet_id,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBatch:
    """Every transfer of the batch stands in the queue. `replayed` as for `Accepted`.

    Attributes:
        fresh_source_ids: The wallets whose lanes have more work now.
    """

    batch: TransferBatch
    replayed: bool
    fresh_source_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was written, for a reason that the caller is told."""

    reason: RequestRefused


Acceptance = Accepted | Refused
BatchAcceptance = AcceptedBatch | Refused
