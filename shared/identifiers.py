"""Mint identifiers: the one place that draws UUIDs."""

from uuid import UUID

from uuid_utils.compat import uuid7

EVENT_PREFIX = "evt_"


def new_id() -> UUID:
    """Mint a UUIDv7: ordered by time, so indexes stay dense. Not by PostgreSQL, since answers need it beforehand."""
    return uuid7()


def event_name(event_id: UUID) -> str:
    """Spell an event's id as it stands on the wire: no dots, since `id.timestamp.body` is what is signed."""
    return f"{EVENT_PREFIX}{event_id.hex}"
