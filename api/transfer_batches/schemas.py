"""Shape what is sent and answered about batches."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from api.strict import StrictModel
from api.transfers.schemas import NewTransfer
from shared.domain.acceptance import BatchRequest
from shared.domain.idempotency import fingerprint
from shared.identifiers import new_id

TRANSFERS_MAX: Final = 1_000


class NewBatch(StrictModel):
    """Transfers that are asked for together, each as it would be alone."""

    transfers: Annotated[list[NewTransfer], Field(min_length=1, max_length=TRANSFERS_MAX)]

    def requested(self, *, owner_id: UUID, idempotency_key: str) -> BatchRequest:
        """Say what is asked for, in the domain's words; the fingerprint is over the fields that were sent."""
        return BatchRequest(
            batch_id=new_id(),
            owner_id=owner_id,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint(self.model_dump(mode="json", exclude_unset=True)),
            transfers=[transfer.requested_in_batch(owner_id=owner_id) for transfer in self.transfers],
        )
