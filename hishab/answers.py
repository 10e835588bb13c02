"""Say what the server's answers look like to us; whatever it adds later is passed over."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

Item = TypeVar("Item")


class Answer(BaseModel):
    """Any resource: read-only, and deaf to fields it does not know, since the contract grows by addition."""

    # Built when first used: most commands read few of them, and should start soon.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class Page(Answer, Generic[Item]):
    """Some items of a list, and where the next page begins."""

    data: list[Item]
    has_more: bool = False
    next_cursor: str | None = None


class Tokens(Answer):
    """What a log-in brings: a token to show, and one to renew it with."""

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)


class Currency(Answer):
    """A currency and how many decimals it has."""

    code: str
    exponent: int


class Wallet(Answer):
    """An owner's money in one currency."""

    id: str
    currency: str
    balance_minor: int = Field(alias="balance")
    entry_count: int = 0
    external_id: str | None = None
    kind: str = "personal"


class Entry(Answer):
    """One movement on a wallet: the `number`-eth of it, a credit above zero and a debit below."""

    number: int
    amount_minor: int = Field(alias="amount")
    balance_after_minor: int = Field(alias="balance_after")
    transfer_id: str
    created_at: datetime


class Failure(Answer):
    """Why no money moved."""

    code: str
    message: str = ""


class Transfer(Answer):
    """Money asked to move. `status` may be one that did not exist when this was written."""

    id: str
    status: str
    version: int = 1
    amount_minor: int = Field(alias="amount")
    currency: str
    source_wallet_id: str
    destination_wallet_id: str
    reference: str | None = None
    note: str | None = None
    metadata: dict[str, str] | None = None
    failure: Failure | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Tell whether the status is final, also one we do not know."""
        return self.completed_at is not None

    @property
    def so_far(self) -> str:
        """Say in words how far it has come."""
        return f"Transfer {self.id} is still {self.status}."

    @property
    def failure_code(self) -> str:
        """Return why it did not succeed: its failure's code or, without one, the status. Empty for a success."""
        if self.status == "succeeded":
            return ""
        return (self.failure.code if self.failure else "") or self.status

    @property
    def failure_message(self) -> str:
        """Return the same for people, as far as the server said it."""
        return self.failure.message if self.failure else ""


class UnprocessableTransfer(Transfer):
    """A transfer that a defect of Hishab's has ended, and what an operator is told of it. No money moved."""

    defect: str | None = None


class Lane(Answer):
    """How a lane gets on: working, careful (a few transfers at a time, since a worker died in it) or stopped."""

    lane: int
    status: str
    queued: int = 0
    oldest_queued_seconds: float = 0.0
    last_applied_at: datetime | None = None


class Batch(Answer):
    """Transfers that were accepted together, in the order they were sent; each ends by itself."""

    id: str
    transfer_ids: list[str]


class BatchCounts(Answer):
    """How many transfers of a batch stand how."""

    queued: int
    succeeded: int
    failed: int


class StandingBatch(Answer):
    """What became of a batch so far. `Client.iterate_batch` tells which of its transfers failed, and why."""

    id: str
    total: int
    counts: BatchCounts
    created_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        """Tell whether all of its transfers have ended."""
        return self.completed_at is not None

    @property
    def so_far(self) -> str:
        """Say in words how far it has come."""
        return f"Batch {self.id} still has {self.counts.queued} queued."


class Event(Answer):
    """One thing that happened. `type` may be one that did not exist when this was written: pass it over.

    Attributes:
        id: The same in the stream, the feed and the webhook. None in a stream for a transfer's acceptance.
        data: What it is about: `transfer` reads it, for those of transfers.
    """

    id: str | None = None
    type: str
    data: dict[str, Any] = {}

    @property
    def transfer(self) -> "Transfer | None":
        """Return the transfer that it is about, as it was right after. None if it is about something else."""
        try:
            return Transfer.model_validate(self.data)
        except ValidationError:
            return None


class Endpoint(Answer):
    """Where webhooks are sent. `secret` is known only right after it was made."""

    id: str
    url: str
    secret: str = Field(default="", repr=False)
    event_types: list[str] | None = None
    description: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None


class EndpointHealth(Endpoint):
    """The same as an operator sees it: whose it is and how it fares.

    Attributes:
        failures: Since it last answered well.
        due: Deliveries, counted up to a bound.
    """

    owner_id: str
    failures: int = 0
    failing_since: datetime | None = None
    due: int = 0
    oldest_due_at: datetime | None = None


class Attempt(Answer):
    """One try to make a delivery, and what came of it."""

    number: int
    http_status: int | None = None
    error: "AttemptTrouble | None" = None


class AttemptTrouble(Answer):
    """Why no answer came."""

    code: str
    message: str = ""


class Delivery(Answer):
    """One event that an endpoint was sent, or is owed."""

    id: str
    event_id: str
    event_type: str
    status: str
    attempt_count: int = 0
    created_at: datetime
    attempts: list[Attempt] = []


class Recovery(Answer):
    """What is going to be sent again: whatever was not delivered between two moments."""

    id: str
    since: datetime
    until: datetime


class AuditAnswer(Answer):
    """A part of an audit. What it says beyond our knowledge is kept, for whoever reads it after us."""

    model_config = ConfigDict(extra="allow")


class Violation(AuditAnswer):
    """One place where the ledger does not hold."""

    check: str
    wallet_id: str | None = None
    transfer_id: str | None = None
    currency: str | None = None
    expected: str | int | None = None
    found: str | int | None = None
    detail: str | None = None


class CurrencySum(AuditAnswer):
    """What there is of one currency. Money that was issued, and money that is held; in minor units."""

    currency: str
    wallets: int = 0
    entries: int = 0
    issued_minor: int | None = Field(default=None, alias="issued")
    held_minor: int | None = Field(default=None, alias="held")


class Sums(AuditAnswer):
    """What an audit counted."""

    transfers: int = 0
    queued: int = 0
    succeeded: int = 0
    failed: int = 0
    currencies: list[CurrencySum] = []


class Audit(AuditAnswer):
    """A check of the whole ledger: asked for, running, or finished with its finding."""

    id: str
    status: str
    holds: bool | None = None
    summed: Sums | None = None
    violations: list[Violation] = []


class Problem(Answer):
    """The body of every refusal (RFC 9457), or that of a log-in (RFC 6749)."""

    code: str = Field(default="", validation_alias=AliasChoices("code", "error"))
    title: str = ""
    detail: str = Field(default="", validation_alias=AliasChoices("detail", "error_description"))
    request_id: str | None = None
    errors: list["ProblemPart"] = []


class ProblemPart(Answer):
    """What is wrong with one part of a request."""

    pointer: str = ""
    code: str = ""
    detail: str = ""


class OpenedWallet(Answer):
    """One item of a list of wallets asked for: the wallet (201: made now, 200: there already), or why not."""

    status: int
    wallet: Wallet | None = None
    problem: Problem | None = None


class OpenedWallets(Answer):
    """The answer to a list of wallets, in its order."""

    data: list[OpenedWallet]
