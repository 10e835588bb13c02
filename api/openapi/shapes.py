"""Declare the shape of every answer, for the specification alone: what is sent is not checked twice."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.transfer import FailureCode, Status

EventId = Annotated[str, Field(pattern="^evt_[0-9a-f]{32}$")]
MinorUnits = Annotated[int, Field(description="In minor units (paisa, cents).")]
Pointer = Annotated[str, Field(description="RFC 6901: where in the body, or which parameter.")]


class Shape(BaseModel):
    """An object of which every field named is always there. More may join: ignore what you do not know."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class FieldProblem(Shape):
    """What is wrong with one field; never what was in it."""

    pointer: Pointer
    code: str
    detail: str


class Problem(BaseModel):
    """Every failure (RFC 9457). `code` is what programs read, `type` leads to a page about it."""

    type: Annotated[str, Field(pattern="^/problems/[a-z0-9-]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    instance: Annotated[str, Field(description="The path that was asked for.")]
    code: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    request_id: str
    errors: Annotated[list[FieldProblem], Field(description="Only where fields are at fault.")] = []


class TokenRefused(BaseModel):
    """How OAuth 2 says no (RFC 6749, section 5.2)."""

    error: str
    error_description: str


class Links(Shape):
    """Where else to look."""

    self: str


class TransferLinks(Links):
    """Where else to look."""

    events: str


class Failure(Shape):
    """Why money did not move. Codes may join the list."""

    code: Annotated[str, Field(examples=list(FailureCode))]
    message: str


class Transfer(Shape):
    """A transfer as it stands. `version` rises by one at each change; a terminal status never changes."""

    id: UUID
    status: Annotated[str, Field(description="More may come.", examples=list(Status))]
    version: Annotated[int, Field(ge=1)]
    amount: Annotated[int, Field(ge=1, description="In minor units (paisa, cents).")]
    currency: str
    source_wallet_id: UUID
    destination_wallet_id: UUID
    reference: str | None
    note: str | None
    metadata: Annotated[dict[str, str] | None, Field(description="The payer's alone: null to the payee.")]
    failure: Failure | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    links: TransferLinks


class BatchAccepted(Shape):
    """A batch as it was accepted: its transfers in the order they were sent. A replay is the same again."""

    id: UUID
    transfer_ids: list[UUID]
    total: Annotated[int, Field(ge=1)]
    created_at: datetime


class BatchCounts(Shape):
    """How many stand how."""

    queued: Annotated[int, Field(ge=0)]
    succeeded: Annotated[int, Field(ge=0)]
    failed: Annotated[int, Field(ge=0)]


class BatchLinks(Links):
    """Where else to look."""

    transfers: str


class Batch(Shape):
    """A batch as it stands; completed once none of its transfers is queued."""

    id: UUID
    total: Annotated[int, Field(ge=1)]
    counts: BatchCounts
    created_at: datetime
    completed_at: datetime | None
    links: BatchLinks


class UnprocessableTransfer(Transfer):
    """A transfer that a defect of ours ended, and what went wrong the last time it was tried."""

    defect: str | None


class StatusChange(Shape):
    """A status that a transfer had. The acceptance is no event, so its `id` is null."""

    id: EventId | None
    type: str
    version: Annotated[int, Field(ge=1)]
    status: str
    created_at: datetime


class History(Shape):
    """Each status that a transfer had, oldest first."""

    data: list[StatusChange]


class User(Shape):
    """A person, to themselves."""

    id: UUID
    name: str
    email: str
    created_at: datetime


class SignedUpUser(User):
    """A new person, their wallet, and their opening grant."""

    wallet_id: UUID
    opening_grant: Transfer


class Token(BaseModel):
    """A token to call with (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="Seconds.")]
    refresh_token: Annotated[str, Field(pattern="^rt_", description="Good once; for the next pair.")]
    scope: Annotated[str, Field(description="Apart by spaces.")]


class LoggedOut(BaseModel):
    """Nothing: whether there was anything to end is not told."""


class ApiKey(Shape):
    """A key, all but the key itself."""

    id: UUID
    name: str | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="Right to about a minute.")]


class NewApiKey(ApiKey):
    """A key, which is shown this once."""

    key: Annotated[str, Field(pattern="^sk_")]


class Balance(Shape):
    """What a wallet holds."""

    wallet_id: UUID
    currency: str
    balance: MinorUnits


class Wallet(Shape):
    """An owner's money in one currency."""

    id: UUID
    owner_id: UUID
    kind: str
    currency: str
    external_id: str | None
    balance: MinorUnits
    floor: int | None
    entry_count: int
    created_at: datetime


class WalletOpened(BaseModel):
    """What became of one of many wallets: the wallet, or why not."""

    status: int
    wallet: Wallet | None = None
    problem: Problem | None = None


class WalletsOpened(Shape):
    """What became of each, in the order asked."""

    data: list[WalletOpened]


class Entry(Shape):
    """One movement on a wallet; `amount` is signed."""

    number: Annotated[int, Field(ge=1)]
    amount: MinorUnits
    balance_after: MinorUnits
    transfer_id: UUID
    created_at: datetime


class CurrencyShown(Shape):
    """A currency, and how many digits of an amount stand behind the point."""

    code: str
    exponent: int


class Currencies(Shape):
    """Every currency there is."""

    data: list[CurrencyShown]


class Page(Shape):
    """A page of a list."""

    has_more: bool
    next_cursor: str | None


class TransferPage(Page):
    """A page of transfers, newest first."""

    data: list[Transfer]


class ApiKeyPage(Page):
    """A page of keys, newest first."""

    data: list[ApiKey]


class BatchTransferPage(Page):
    """A page of a batch's transfers, in the order they were sent."""

    data: list[Transfer]


class UnprocessableTransferPage(Page):
    """A page of transfers that ended through a defect of ours, newest first."""

    data: list[UnprocessableTransfer]


class WalletPage(Page):
    """A page of wallets, newest first."""

    data: list[Wallet]


class EntryPage(Page):
    """A page of entries, newest first."""

    data: list[Entry]


class Issued(Shape):
    """How much of a currency was ever issued."""

    currency: str
    balance: MinorUnits


class SystemBalance(Shape):
    """How much money there is."""

    data: list[Issued]


class Lane(Shape):
    """How a lane gets on; `careful`: a few transfers at a time, since a worker died in it."""

    lane: int
    status: Literal["working", "careful", "stopped"]
    queued: int
    oldest_queued_seconds: float
    last_applied_at: datetime | None


class Lanes(Shape):
    """The lanes."""

    data: list[Lane]


class Audit(Shape):
    """How an audit stands, and once it is finished what it found."""

    id: UUID
    status: Literal["queued", "running", "finished"]
    holds: bool | None
    summed: object
    violations: list[dict[str, object]]
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: Links


class Alive(Shape):
    """The process answers."""

    status: Literal["ok"]


class StuckLane(Shape):
    """A lane whose transfers wait: `stopped` by a defect, `stalled` since nobody works it, or `behind` its work."""

    lane: int
    reason: Literal["stopped", "stalled", "behind"]
    queued: int
    oldest_queued_seconds: float


class Ready(Shape):
    """Whether transfers can be accepted, and what delays them."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, str]
    stuck: list[StuckLane]
