"""Say which endpoints are owed an event, and what each is told."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from shared.domain import wire
from shared.domain.transfer import Ending, FailureCode, Status, Transfer

TRANSFER_SUCCEEDED: Final = "transfer.succeeded"
TRANSFER_FAILED: Final = "transfer.failed"
ENDPOINT_DISABLED: Final = "webhook_endpoint.disabled"
PING: Final = "ping"
FEED_TYPES: Final = (TRANSFER_SUCCEEDED, TRANSFER_FAILED, ENDPOINT_DISABLED)
EVENT_TYPES: Final = (*FEED_TYPES, PING)
"""A ping is for the endpoint that is tested alone: nothing has happened that an owner could have missed."""


class DisabledReason(StrEnum):
    """Why an endpoint is sent nothing: its owner's wish, an answer of 410, or nothing but failures for too long."""

    OWNER = "owner"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who listens. `event_types` is None for all of them."""

    id: UUID
    owner_id: UUID
    event_types: tuple[str, ...] | None

    def wants(self, event_type: str) -> bool:
        """Say whether it asked for events of this type."""
        return self.event_types is None or event_type in self.event_types


def event_type(failure_code: FailureCode | None) -> str:
    """Name the event of a transfer's end."""
    return TRANSFER_SUCCEEDED if failure_code is None else TRANSFER_FAILED


def endpoints_owed(transfer: Transfer, *, ending: Ending, endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Choose who is told: the payer of both ends, the payee of success alone."""
    told = {transfer.owner_id}
    if ending.status is Status.SUCCEEDED:
        told.add(transfer.destination_owner_id)
    return [e for e in endpoints if e.owner_id in told and e.wants(event_type(ending.failure_code))]


def body(event_name: str, *, transfer: Transfer, ending: Ending, viewer_id: UUID) -> bytes:
    """Render what is sent, once: every attempt sends the same bytes."""
    data: dict[str, Any] = wire.reading(transfer, ending=ending, viewer_id=viewer_id)
    data["previous_status"] = Status.QUEUED
    return message(event_name, event_type=event_type(ending.failure_code), at=ending.at, data=data)


def message(event_name: str, *, event_type: str, at: datetime, data: Mapping[str, object]) -> bytes:
    """Render what is sent about any event."""
    return wire.to_json({"type": event_type, "id": event_name, "timestamp": wire.moment(at), "data": data})


def transfer_id_in(message_body: bytes) -> str | None:
    """Say which transfer a rendered message tells of, if it is one's."""
    told = json.loads(message_body)
    return told["data"]["id"] if told.get("type") in {TRANSFER_SUCCEEDED, TRANSFER_FAILED} else None


def disabled_data(endpoint_id: UUID, *, url: str, reason: DisabledReason, at: datetime) -> dict[str, object]:
    """Say what the owner's other endpoints, and the feed, are told of one that was disabled."""
    return {
        "endpoint_id": str(endpoint_id),
        "url": url,
        "disabled_reason": reason,
        "disabled_at": wire.moment(at),
    }
