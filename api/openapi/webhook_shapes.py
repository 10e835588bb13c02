"""Declare the shape of events, and of what is answered about those who are told of them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.openapi.shapes import EventId, Page, Shape, Transfer
from shared.domain.attempt import AttemptError, DeliveryStatus
from shared.domain.webhook import DisabledReason

Known = Annotated[str, Field(description="More may come.")]


class TransferEventData(Transfer):
    """The transfer as of the event."""

    previous_status: str


class TransferEvent(Shape):
    """A transfer has ended. Apply it only if its `version` is higher than what you have: order is not promised."""

    type: Literal["transfer.succeeded", "transfer.failed"]
    id: EventId
    timestamp: datetime
    data: TransferEventData


class EndpointDisabledData(Shape):
    """Which endpoint was disabled, when, and why."""

    endpoint_id: UUID
    url: str
    disabled_reason: Annotated[Known, Field(examples=[DisabledReason.GONE, DisabledReason.FAILING])]
    disabled_at: datetime


class EndpointDisabledEvent(Shape):
    """One of your endpoints was given up: it answered 410, or gave nothing but failures for days."""

    type: Literal["webhook_endpoint.disabled"]
    id: EventId
    timestamp: datetime
    data: EndpointDisabledData


class PingData(Shape):
    """Which endpoint is tested."""

    endpoint_id: UUID


class PingEvent(Shape):
    """Somebody asked for a test. Answer 2xx, and do nothing."""

    type: Literal["ping"]
    id: EventId
    timestamp: datetime
    data: PingData


class AnyEvent(Shape):
    """An event of any type, also of those that will come; `data` is as its type says (`webhooks`)."""

    type: str
    id: EventId
    timestamp: datetime
    data: dict[str, object]


class EventPage(Shape):
    """A page of the feed, oldest first. There is always a cursor to come back with."""

    data: list[AnyEvent]
    has_more: bool
    next_cursor: str


class Endpoint(Shape):
    """Who listens. No event types means all of them."""

    id: UUID
    url: str
    event_types: list[str] | None
    description: str | None
    enabled: bool
    disabled_reason: Annotated[Known | None, Field(examples=list(DisabledReason))]
    disabled_at: datetime | None
    created_at: datetime


class EndpointWithSecret(Endpoint):
    """An endpoint and its secret, which is shown this once."""

    secret: Annotated[str, Field(pattern="^whsec_")]


class EndpointRotated(EndpointWithSecret):
    """An endpoint and its new secret, which is shown this once."""

    previous_secret_until: Annotated[datetime, Field(description="Until then the one of before signs as well.")]


class EndpointPage(Page):
    """A page of endpoints, newest first."""

    data: list[Endpoint]


class EndpointHealth(Endpoint):
    """An endpoint as operators see it: whose it is, and how it fares."""

    owner_id: UUID
    failures: Annotated[int, Field(ge=0, description="Since it last answered well.")]
    failing_since: datetime | None
    due: Annotated[int, Field(ge=0, description="Deliveries whose time has come, counted up to 10,000.")]
    oldest_due_at: datetime | None


class EndpointHealthPage(Page):
    """A page of everybody's endpoints, newest first."""

    data: list[EndpointHealth]


class AttemptProblem(Shape):
    """The class of the error that came instead of an answer."""

    code: Annotated[Known, Field(examples=list(AttemptError))]
    message: str


class Attempt(Shape):
    """What was tried once."""

    number: Annotated[int, Field(ge=1)]
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: AttemptProblem | None
    answer_excerpt: Annotated[str | None, Field(description="How the answer's body begins, at most 2 kB.")]


class Delivery(Shape):
    """How a delivery stands."""

    id: UUID
    event_id: EventId
    event_type: str
    status: Annotated[Known, Field(examples=list(DeliveryStatus))]
    attempt_count: Annotated[int, Field(ge=0)]
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryPage(Page):
    """A page of deliveries, newest first."""

    data: list[Delivery]


class DeliveryWithAttempts(Delivery):
    """How a delivery stands, and what was tried so far."""

    attempts: list[Attempt]


class Recovery(Shape):
    """What is going to be sent again: the events of a window of time."""

    id: UUID
    webhook_endpoint_id: UUID
    since: datetime
    until: datetime
    requested_at: datetime
