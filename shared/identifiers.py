"""Mint identifiers: the one place that draws UUIDs."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

EVENT_PREFIX = "evt_"


def new_id() -> UUID:
    """Mint a UUIDv7: ordered by time, so indexes stay dense. Not by PostgreSQL, since answers need it beforehand."""
    return uuid7()


def first_id(at: datetime) -> UUID:
    """Give the least that could be minted at a moment: what is below it was minted before."""
    return UUID(int=int(1_000 * at.timestamp()) << 80)


def event_name(event_id: UUID) -> str:
    """Spell an event's id as it stands on the wire: no dots, since `id.timestamp.body` is what is signed."""
    return f"{EVENT_PREFIX}{event_id.hex}"
