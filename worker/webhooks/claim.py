"""Claim what is due, fairly, and as much as there is room for. Sync, and run in a thread."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from psycopg import Connection

from shared.database import claims
from shared.database.claims import ClaimedDelivery, OwedEndpoint
from shared.domain.endpoint_health import FAILING_FROM
from shared.identifiers import new_id
from worker.webhooks.in_hand import Limits

WRITE_OFF_MAX: Final = 1_000
"""What is owed to closed endpoints is written off in so many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much more may be in hand; counted in the event loop, since a thread must not look at what that changes.

    Attributes:
        total: Of all endpoints together.
        counts: What is in hand for each.
        windows: What may be, for endpoints that answered lately; the others may have what may be under way to one.
    """

    total: int
    counts: Counter[UUID]
    windows: Mapping[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What was claimed.

    Attributes:
        behind: Some endpoint had as much due as there was room for, so probably more.
        closed: There may be more to write off.
    """

    deliveries: list[ClaimedDelivery] = field(default_factory=list[ClaimedDelivery])
    behind: bool = False
    closed: bool = False


def claim_due(connection: Connection, room: Room, *, limits: Limits) -> Claimed:
    """Claim what is due, as far as there is room for it, and write off what is owed to closed endpoints.

    Raises:
        psycopg.Error: PostgreSQL is in trouble.
    """
    owed = claims.read_owed(connection, failing_from=FAILING_FROM)
    written_off = 0
    if closed := [endpoint.endpoint_id for endpoint in owed if endpoint.closed]:
        written_off = claims.write_off(connection, closed, limit=WRITE_OFF_MAX)
    rooms = _rooms(connection, [endpoint for endpoint in owed if not endpoint.closed], room=room, limits=limits)
    free = {endpoint_id: count for endpoint_id, count in rooms.items() if count > 0}
    deliveries: list[ClaimedDelivery] = []
    if free and room.total > 0:
        deliveries = claims.claim(
            connection, free, claim_id=new_id(), limit=room.total, lease_seconds=limits.lease_seconds
        )
    taken = Counter(delivery.endpoint_id for delivery in deliveries)
    filled = any(taken[endpoint_id] >= count for endpoint_id, count in rooms.items())
    return Claimed(
        deliveries=deliveries,
        behind=filled or len(deliveries) >= room.total,
        closed=written_off == WRITE_OFF_MAX,
    )


def _rooms(connection: Connection, owed: Sequence[OwedEndpoint], *, room: Room, limits: Limits) -> dict[UUID, int]:
    """Say how many to take for each endpoint: of those that keep failing one, and that by one process alone."""
    rooms = {
        endpoint.endpoint_id: room.windows.get(endpoint.endpoint_id, limits.endpoint_sends_max)
        - room.counts[endpoint.endpoint_id]
        for endpoint in owed
        if not endpoint.failing
    }
    failing = [e.endpoint_id for e in owed if e.failing and not room.counts[e.endpoint_id]]
    if failing:
        probed = claims.take_probes(connection, failing, lease_seconds=limits.lease_seconds)
        rooms |= dict.fromkeys(probed, 1)
    return rooms
