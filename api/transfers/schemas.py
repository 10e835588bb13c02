"""Shape what is sent and answered about transfers."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.strict import Amount, Currency, Email, Id, PlainText, StrictModel
from shared.database.events import TransferEvent
from shared.domain import wire
from shared.domain.acceptance import TransferRequest
from shared.domain.idempotency import fingerprint
from shared.domain.transfer import ACCEPTED_VERSION, Status, Transfer
from shared.domain.webhook import TRANSFER_FAILED, TRANSFER_SUCCEEDED
from shared.identifiers import event_name, new_id

TRANSFER_QUEUED: Final = "transfer.queued"
"""The acceptance. The transfer's own row says it, so it is no event, has no id, and no webhook is sent."""

_STATUS: Final = {TRANSFER_SUCCEEDED: Status.SUCCEEDED, TRANSFER_FAILED: Status.FAILED}

MetadataKey = Annotated[PlainText, Field(min_length=1, max_length=40)]
MetadataValue = Annotated[PlainText, Field(max_length=200)]


class NewTransfer(StrictModel):
    """A transfer that is asked for. Without a source it goes out of the caller's own wallet in the currency."""

    source_wallet_id: Id | None = None
    destination_wallet_id: Id | None = None
    destination_email: Email | None = None
    amount: Amount
    currency: Currency
    reference: Annotated[PlainText, Field(max_length=64)] | None = None
    note: Annotated[PlainText, Field(max_length=140)] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None

    @model_validator(mode="after")
    def _has_one_destination(self) -> Self:
        if (self.destination_wallet_id is None) == (self.destination_email is None):
            message = "give either destination_wallet_id or destination_email"
            raise ValueError(message)
        return self

    @property
    def sent(self) -> dict[str, object]:
        """The fields that were sent, as they were read: what a request is recognised by."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def requested(self, *, owner_id: UUID, idempotency_key: str) -> TransferRequest:
        """Say what is asked for, in the domain's words; the fingerprint is over the fields that were sent."""
        return self._requested(owner_id=owner_id, idempotency_key=idempotency_key, fingerprint=fingerprint(self.sent))

    def requested_in_batch(self, *, owner_id: UUID) -> TransferRequest:
        """Say what is asked for as a part of a batch, whose key and fingerprint speak for it."""
        return self._requested(owner_id=owner_id, idempotency_key=None, fingerprint=None)

    def _requested(self, *, owner_id: UUID, idempotency_key: str | None, fingerprint: bytes | None) -> TransferRequest:
        return TransferRequest(
            transfer_id=new_id(),
            owner_id=owner_id,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            source_wallet_id=self.source_wallet_id,
            destination_wallet_id=self.destination_wallet_id,
            destination_email=self.destination_email,
            amount_minor=self.amount,
            currency=self.currency,
            reference=self.reference,
            note=self.note,
            metadata=self.metadata,
        )


def show_history(transfer: Transfer, events: Iterable[TransferEvent]) -> list[dict[str, Any]]:
    """Show each status that a transfer had, oldest first: one item a version."""
    accepted = {
        "id": None,
        "type": TRANSFER_QUEUED,
        "version": ACCEPTED_VERSION,
        "status": Status.QUEUED,
        "created_at": wire.moment(transfer.created_at),
    }
    return [accepted, *(_show_event(event) for event in events)]


def _show_event(event: TransferEvent) -> dict[str, Any]:
    return {
        "id": event_name(event.id),
        "type": event.type,
        "version": event.version,
        "status": _STATUS[event.type],
        "created_at": wire.moment(event.created_at),
    }
