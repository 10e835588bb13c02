"""Say what a transfer is and what can become of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

ACCEPTED_VERSION: Final = 1
ENDED_VERSION: Final = 2


class Status(StrEnum):
    """Where a transfer stands. There is no `processing`: applying is one transaction whose middle nobody can see."""

    QUEUED = "queued"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class FailureCode(StrEnum):
    """Why money did not move. In order of precedence: the first that holds is reported."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNPROCESSABLE = "unprocessable"


FAILURE_MESSAGES: Final = {
    FailureCode.INSUFFICIENT_FUNDS: "The source wallet does not hold enough money.",
    FailureCode.LIMIT_EXCEEDED: "The transfer would lift a balance past its limit of 10^18 minor units.",
    FailureCode.UNPROCESSABLE: "The transfer could not be processed because of a defect on our side. No money moved.",
}


class Transfer(NamedTuple):
    """What was asked and accepted. Never changes.

    Attributes:
        owner_id: The owner of the source wallet, who asked for it.
        destination_owner_id: The owner of the destination wallet, who sees it once it has succeeded.
        position: Its place in the order of acceptance; unique, gaps allowed.
    """

    id: UUID
    owner_id: UUID
    destination_owner_id: UUID
    source_wallet_id: UUID
    destination_wallet_id: UUID
    amount_minor: int
    currency: str
    reference: str | None
    note: str | None
    metadata: dict[str, str] | None
    position: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a transfer ended: its second and last version."""

    failure_code: FailureCode | None
    at: datetime

    @property
    def status(self) -> Status:
        """Name the terminal status."""
        return Status.SUCCEEDED if self.failure_code is None else Status.FAILED
