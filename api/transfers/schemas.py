"""Shape what is sent and answered about transfers."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.strict import Amount, Currency, Email, Id, PlainText, StrictModel
from shared.domain.acceptance import TransferRequest
from shared.domain.idempotency import fingerprint
from shared.identifiers import new_id

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

    def requested(self, *, owner_id: UUID, idempotency_key: str) -> TransferRequest:
        """Say what is asked for, in the domain's words; the fingerprint is over the fields that were sent."""
        return TransferRequest(
            transfer_id=new_id(),
            owner_id=owner_id,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint(self.model_dump(mode="json", exclude_unset=True)),
            source_wallet_id=self.source_wallet_id,
            destination_wallet_id=self.destination_wallet_id,
            destination_email=self.destination_email,
            amount_minor=self.amount,
            currency=self.currency,
            reference=self.reference,
            note=self.note,
            metadata=self.metadata,
        )
