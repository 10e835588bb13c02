"""Shape what is sent and answered about webhook endpoints."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from api.strict import Moment, PlainText, StrictModel
from shared.database.endpoints import Due, WebhookEndpoint
from shared.database.recoveries import Recovery
from shared.database.sent import SentAttempt, SentDelivery
from shared.domain import wire
from shared.domain.attempt import ERROR_MESSAGES, AttemptError
from shared.domain.webhook import EVENT_TYPES, FEED_TYPES
from shared.domain.webhook_url import URL_LENGTH_MAX
from shared.identifiers import event_name

DESCRIPTION_LENGTH_MAX: Final = 200
GRACE_SECONDS: Final = 86_400
GRACE_SECONDS_MAX: Final = 604_800


def _one_of(types: Sequence[str], event_type: str) -> str:
    if event_type not in types:
        message = f"must be one of {', '.join(types)}"
        raise ValueError(message)
    return event_type


EventType = Annotated[
    str, AfterValidator(partial(_one_of, EVENT_TYPES)), Field(json_schema_extra={"enum": list(EVENT_TYPES)})
]
FeedType = Annotated[
    str, AfterValidator(partial(_one_of, FEED_TYPES)), Field(json_schema_extra={"enum": list(FEED_TYPES)})
]
EndpointUrl = Annotated[
    PlainText, Field(min_length=1, max_length=URL_LENGTH_MAX, examples=["https://example.com/hooks"])
]
EventTypes = Annotated[list[EventType] | None, Field(min_length=1, max_length=len(EVENT_TYPES))]
Description = Annotated[PlainText | None, Field(max_length=DESCRIPTION_LENGTH_MAX)]


class NewEndpoint(StrictModel):
    """Who is to listen. Without event types: to all there are, also to those that there will be."""

    url: EndpointUrl
    event_types: EventTypes = None
    description: Description = None


class EndpointChanges(StrictModel):
    """What is to change; what is not named stays. Null event types are all of them, a null description is none."""

    # Made and not named, since they stand for nothing: what was not sent has no default that it would be changed to.
    url: EndpointUrl = Field(default_factory=str)
    event_types: EventTypes = Field(default_factory=lambda: None)
    description: Description = Field(default_factory=lambda: None)
    enabled: bool = Field(default_factory=bool)


class Rotation(StrictModel):
    """How long the secret of before signs as well; 0 for not at all, as for a secret that somebody has seen."""

    grace_period_seconds: Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX)] = GRACE_SECONDS


class NewRecovery(StrictModel):
    """The time to recover: of the events that happened within it, `until` not included. Without `until`: up to now."""

    since: Moment
    until: Moment | None = None


def show_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Show an endpoint to its owner; a secret is shown once, by the answer that made it."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "enabled": endpoint.disabled_at is None,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": _moment(endpoint.disabled_at),
        "created_at": wire.moment(endpoint.created_at),
    }


def show_health(endpoint: WebhookEndpoint, due: Due) -> dict[str, Any]:
    """Show an endpoint to an operator: whose it is, and how it fares."""
    return {
        **show_endpoint(endpoint),
        "owner_id": str(endpoint.owner_id),
        "failures": endpoint.failures,
        "failing_since": _moment(endpoint.failing_since),
        "due": due.count,
        "oldest_due_at": _moment(due.oldest_at),
    }


def show_delivery(delivery: SentDelivery) -> dict[str, Any]:
    """Show how a delivery stands."""
    return {
        "id": str(delivery.id),
        "event_id": event_name(delivery.event_id),
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempt_count": delivery.attempts,
        "next_attempt_at": _moment(delivery.next_attempt_at),
        "created_at": _moment(delivery.created_at),
        "finished_at": _moment(delivery.finished_at),
    }


def show_attempt(attempt: SentAttempt) -> dict[str, Any]:
    """Show what was tried once, and what came of it."""
    error = AttemptError(attempt.error) if attempt.error else None
    return {
        "number": attempt.number,
        "started_at": _moment(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "error": {"code": error, "message": ERROR_MESSAGES[error]} if error else None,
        "answer_excerpt": attempt.answer_excerpt,
    }


def show_recovery(recovery: Recovery) -> dict[str, Any]:
    """Show what is going to be owed again."""
    return {
        "id": str(recovery.id),
        "webhook_endpoint_id": str(recovery.endpoint_id),
        "since": wire.moment(recovery.since),
        "until": wire.moment(recovery.until),
        "requested_at": wire.moment(recovery.requested_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else wire.moment(at)
