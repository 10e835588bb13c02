"""Shape what is sent and answered about webhook endpoints."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from api.strict import PlainText, StrictModel
from shared.database.endpoints import SentAttempt, SentDelivery, WebhookEndpoint
from shared.domain import wire
from shared.domain.attempt import ERROR_MESSAGES, AttemptError
from shared.domain.webhook import EVENT_TYPES
from shared.domain.webhook_url import URL_LENGTH_MAX
from shared.identifiers import event_name

DESCRIPTION_LENGTH_MAX: Final = 200


def _known(event_type: str) -> str:
    if event_type not in EVENT_TYPES:
        message = f"must be one of {', '.join(EVENT_TYPES)}"
        raise ValueError(message)
    return event_type


EventType = Annotated[str, AfterValidator(_known)]


class NewEndpoint(StrictModel):
    """Who is to listen. Without event types: to all there are, also to those that there will be."""

    url: Annotated[PlainText, Field(min_length=1, max_length=URL_LENGTH_MAX, examples=["https://example.com/hooks"])]
    event_types: Annotated[list[EventType] | None, Field(min_length=1, max_length=len(EVENT_TYPES))] = None
    description: Annotated[PlainText | None, Field(max_length=DESCRIPTION_LENGTH_MAX)] = None


def show_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Show an endpoint to its owner; its secret is shown once, by the answer that made it."""
    return {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "created_at": wire.moment(endpoint.created_at),
    }


def show_delivery(delivery: SentDelivery, attempts: Iterable[SentAttempt]) -> dict[str, Any]:
    """Show how a delivery stands, and what was tried, from the first attempt on."""
    return {
        "id": str(delivery.id),
        "event_id": event_name(delivery.event_id),
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempts": [_show_attempt(attempt) for attempt in attempts if attempt.delivery_id == delivery.id],
        "next_attempt_at": _moment(delivery.next_attempt_at),
        "created_at": _moment(delivery.created_at),
        "finished_at": _moment(delivery.finished_at),
    }


def _show_attempt(attempt: SentAttempt) -> dict[str, Any]:
    error = AttemptError(attempt.error) if attempt.error else None
    return {
        "number": attempt.number,
        "started_at": _moment(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "error": {"code": error, "message": ERROR_MESSAGES[error]} if error else None,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else wire.moment(at)
