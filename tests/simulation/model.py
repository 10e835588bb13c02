"""Know what the ledger should know: what was accepted, in which order, how it ends, and who is told. Pure.

One clerk (tests/clerk.py) reckons; this remembers keys, places and who may see what. As everywhere in tests, nothing of
the project's own deciding is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from shared.domain.acceptance import TransferRequest
from tests.clerk import Clerk


class Invariant(StrEnum):
    """What must hold after each step: the names of the fault matrix, and three that a simulation can see as well."""

    CONSERVATION = "I1 conservation"
    NO_LOSS = "I2 no loss"
    NO_DOUBLE = "I3 no double"
    ORDER = "I4 order of entries"
    REPLAY = "I5 model replay"
    REAL_TIME = "I6 order of acceptance"
    IDEMPOTENCY = "I7 idempotency"
    READS = "I8 reads"
    WEBHOOKS = "I9 webhooks"
    HONESTY = "I10 honesty"
    WAKE_UPS = "what waits was told of"
    NO_TROUBLE = "no trouble unasked"
    NO_DEADLOCK = "no deadlock"


class Complaint(NamedTuple):
    """What does not hold."""

    invariant: Invariant
    what: str


@dataclass(slots=True, kw_only=True)
class Known:
    """A transfer that was accepted.

    Attributes:
        place: In the order in which requests arrived.
        batch: The key of the batch that it came with.
        record: The body of its 202, once one was seen.
        is_meanwhile: It was committed while a worker was at work, who may or may not have seen it.
    """

    request: TransferRequest
    place: int
    batch: str | None = None
    record: bytes | None = None
    is_meanwhile: bool = False
    has_ended: bool = False
    failure: str | None = None

    @property
    def id(self) -> UUID:
        """Name the transfer."""
        return self.request.transfer_id

    @property
    def source(self) -> UUID:
        """Name the wallet that pays."""
        assert self.request.source_wallet_id is not None
        return self.request.source_wallet_id

    @property
    def destination(self) -> UUID:
        """Name the wallet that is paid."""
        assert self.request.destination_wallet_id is not None
        return self.request.destination_wallet_id

    @property
    def status(self) -> str:
        """Say how it stands."""
        if not self.has_ended:
            return "queued"
        return "succeeded" if self.failure is None else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a list is asked for; None for whatever there is."""

    status: str | None = None
    reference: str | None = None
    key: str | None = None
    wallet: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """All that should be known.

    Attributes:
        owners: Of the wallets.
        listeners: The owner behind each endpoint.
        batches: What was accepted under the key of a batch, and the fingerprint.
    """

    owners: Mapping[UUID, UUID]
    listeners: Mapping[UUID, UUID]
    clerk: Clerk[UUID]
    accepted: dict[UUID, Known] = field(default_factory=dict[UUID, Known])
    by_key: dict[tuple[UUID, str], Known] = field(default_factory=dict[tuple[UUID, str], Known])
    batches: dict[tuple[UUID, str], tuple[bytes, list[Known]]] = field(
        default_factory=dict[tuple[UUID, str], tuple[bytes, list[Known]]]
    )
    ended: list[Known] = field(default_factory=list[Known])

    def refusal(self, request: TransferRequest) -> str | None:
        """Name the reason to refuse a request whose key is new."""
        source, destination = request.source_wallet_id, request.destination_wallet_id
        if source is None or self.owners.get(source) != request.owner_id:
            return "WalletNotFound"
        if destination not in self.owners:
            return "DestinationUnknown"
        return "SameWallet" if source == destination else None

    def accept(self, known: Known) -> None:
        """Note what was accepted."""
        self.accepted[known.id] = known
        if known.request.idempotency_key is not None:
            self.by_key[known.request.owner_id, known.request.idempotency_key] = known

    def in_order(self) -> list[Known]:
        """List what was accepted in the order of acceptance."""
        return sorted(self.accepted.values(), key=lambda known: known.place)

    def queue(self) -> list[Known]:
        """List what waits."""
        return [known for known in self.in_order() if not known.has_ended]

    def end(self, transfer_id: UUID, *, failure: str | None) -> Iterator[Complaint]:
        """Take note of the next ending; say what is wrong with it."""
        known = self.accepted.get(transfer_id)
        if known is None:
            yield Complaint(Invariant.NO_LOSS, f"{transfer_id} ended, which nobody was told of")
            return
        if known.has_ended:
            yield Complaint(Invariant.NO_DOUBLE, f"{transfer_id} ended again")
            return
        earlier = [k for k in self.queue() if k.place < known.place and not k.is_meanwhile]
        if earlier:
            yield Complaint(Invariant.REAL_TIME, f"{transfer_id} ended before {earlier[0].id}, accepted earlier")
        expected = self.clerk.apply(known.source, known.destination, known.request.amount_minor)
        if expected != failure:
            yield Complaint(Invariant.REPLAY, f"{transfer_id} ended with {failure}, for the clerk with {expected}")
        known.has_ended, known.failure = True, failure
        self.ended.append(known)

    def owners_of(self, known: Known) -> tuple[UUID, UUID]:
        """Name the payer and the payee."""
        return known.request.owner_id, self.owners[known.destination]

    def is_told(self, owner_id: UUID, known: Known) -> bool:
        """Say whether an owner hears of an end: the payer of any, the payee of success."""
        payer, payee = self.owners_of(known)
        return owner_id == payer or (owner_id == payee and known.failure is None)

    def owed(self) -> set[tuple[UUID, UUID]]:
        """Say which endpoint is owed word of which transfer."""
        return {
            (e, known.id) for known in self.ended for e, owner in self.listeners.items() if self.is_told(owner, known)
        }

    def told(self, owner_id: UUID) -> list[UUID]:
        """List what an owner's feed tells, oldest first."""
        return [known.id for known in self.ended if self.is_told(owner_id, known)]

    def listed(self, viewer_id: UUID, looked: Looked) -> list[tuple[UUID, str]]:
        """List what an owner sees, newest first."""
        return [
            (known.id, known.status)
            for known in reversed(self.in_order())
            if self._is_seen(viewer_id, known, looked=looked) and _is_asked_for(known, looked)
        ]

    def _is_seen(self, viewer_id: UUID, known: Known, *, looked: Looked) -> bool:
        payer, payee = self.owners_of(known)
        # A key is its payer's alone.
        is_payees = known.status == "succeeded" and viewer_id == payee and looked.key is None
        return viewer_id == payer or is_payees


def _is_asked_for(known: Known, looked: Looked) -> bool:
    return (
        looked.status in {None, known.status}
        and looked.reference in {None, known.request.reference}
        and looked.key in {None, known.request.idempotency_key}
        and looked.wallet in {None, known.source, known.destination}
    )
