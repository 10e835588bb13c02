"""Say what a batch of transfers is, and how it stands."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferBatch:
    """Transfers that were accepted together; `transfer_ids` in the order they were sent. Never changes."""

    id: UUID
    transfer_ids: tuple[UUID, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingBatch:
    """A batch, and what became of its transfers so far.

    Attributes:
        last_ended_at: When the latest of those that ended did.
    """

    id: UUID
    total: int
    succeeded: int
    failed: int
    created_at: datetime
    last_ended_at: datetime | None

    @property
    def queued(self) -> int:
        """Count those that have not ended."""
        return self.total - self.succeeded - self.failed

    @property
    def version(self) -> int:
        """Number how it stands: one more with each transfer that ends."""
        return self.total - self.queued + 1

    @property
    def completed_at(self) -> datetime | None:
        """Say when the last transfer ended, if all of them have."""
        return self.last_ended_at if self.queued == 0 else None
