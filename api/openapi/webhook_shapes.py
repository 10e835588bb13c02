"""Declare the shape of what is answered about webhooks, and of those events that are no transfer's."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.openapi.shapes import EventId, Page, Shape


class Endpoint(Shape):
    """Who listens. No event types means all of them."""

    id: UUID
    url: str
    event_types: list[str] | None
    description: str | None
    enabled: bool
    disabled_reason: str | None
    disabled_at: datetime | None
    created_at: datetime


class NewEndpointShown(Endpoint):
    """An endpoint and its secret, which is shown this once."""

    secret: Annotated[str, Field(pattern="^whsec_")]


class RotatedEndpoint(NewEndpointShown):
    """An endpoint and its new secret, which is shown this once; and until when the one of before signs as well."""

    previous_secret_until: datetime


class EndpointPage(Page):
    """A page of endpoints, newest first."""

    data: list[Endpoint]


class EndpointHealth(Endpoint):
    """An endpoint as an operator sees it: whose it is, and how it fares. What is due is counted up to 10,000."""

    owner_id: UUID
    failures: int
    failing_since: datetime | None
    due: int
    oldest_due_at: datetime | None


class EndpointHealthPage(Page):
    """A page of everybody's endpoints, newest first."""

    data: list[EndpointHealth]


class AttemptProblem(Shape):
    """The class of the error that came instead of an answer."""

    code: str
    message: str


class Attempt(Shape):
    """What was tried once, and the beginning of what was answered."""

    number: int
    started_at: datetime
    duration_ms: int
    http_status: int | None
    error: AttemptProblem | None
    answer_excerpt: str | None


class Delivery(Shape):
    """How a delivery stands."""

    id: UUID
    event_id: EventId
    event_type: str
    status: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryWithAttempts(Delivery):
    """How a delivery stands, and every attempt, from the first one on."""

    attempts: list[Attempt]


class DeliveryPage(Page):
    """A page of deliveries, newest first."""

    data: list[Delivery]


class Recovery(Shape):
    """What is going to be sent again: what happened in this window, and was not delivered."""

    id: UUID
    webhook_endpoint_id: UUID
    since: datetime
    until: datetime
    requested_at: datetime


class EndpointDisabledData(Shape):
    """Which endpoint was disabled, when and why."""

    endpoint_id: UUID
    url: str
    disabled_reason: str
    disabled_at: datetime


class EndpointDisabledEvent(Shape):
    """One of your endpoints was disabled: it answered 410, or gave nothing but failures for days."""

    type: Literal["webhook_endpoint.disabled"]
    id: EventId
    timestamp: datetime
    data: EndpointDisabledData


class PingData(Shape):
    """Which endpoint was to be tested."""

    endpoint_id: UUID


class PingEvent(Shape):
    """Somebody asked for a test. Answer 2xx, and do nothing."""

    type: Literal["ping"]
    id: EventId
    timestamp: datetime
    data: PingData
