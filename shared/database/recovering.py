"""Carry out recoveries: walk the events that concern an endpoint's owner, and owe again what was not delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from shared.database.deliveries import NewDelivery
from shared.domain.attempt import ATTEMPTS_MAX, KEPT_DAYS
from shared.domain.webhook import Endpoint

# The oldest that is not finished and that nobody else carries out at this moment. What is owed to an endpoint that was
# closed meanwhile is nothing; nor is what happened so long ago that it is forgotten whether it was delivered.
# Index: webhook_recoveries_endpoint_id_key, whose rows are those not finished.
TAKE: LiteralString = """
SELECT recovery.id, recovery.endpoint_id, recovery.lane, recovery.number, recovery.until,
       greatest(recovery.since, endpoint.created_at,
                statement_timestamp() - make_interval(days => %(kept_days)s)) AS since,
       endpoint.owner_id, endpoint.event_types,
       endpoint.deleted_at IS NOT NULL OR endpoint.disabled_at IS NOT NULL AS closed
FROM webhook_recoveries AS recovery
JOIN webhook_endpoints AS endpoint ON endpoint.id = recovery.endpoint_id
WHERE recovery.finished_at IS NULL
ORDER BY recovery.requested_at
LIMIT 1
FOR NO KEY UPDATE OF recovery SKIP LOCKED
"""

# Waits for the application under way in a lane, and for nothing after it: it may have read the endpoint while that was
# still disabled, and its events must be seen here. Index: lanes_pkey.
AWAIT_LANE: LiteralString = "SELECT lane FROM lanes WHERE lane = %(lane)s FOR NO KEY UPDATE"

# Newest first, and older ones have lower numbers and earlier times: that is the order of a lane. Of the two halves each
# is in the order of its index. Indexes: events_owner_id_lane_number_idx, events_destination_owner_id_lane_number_idx.
READ_EVENTS: LiteralString = """
SELECT id, number, type, transfer_id, failure_code, endpoint_id, data, created_at
FROM (
    (SELECT id, number, type, transfer_id, failure_code, endpoint_id, data, created_at
     FROM events
     WHERE owner_id = %(owner_id)s AND lane = %(lane)s AND number < %(before)s
     ORDER BY number DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT id, number, type, transfer_id, failure_code, endpoint_id, data, created_at
     FROM events
     WHERE destination_owner_id = %(owner_id)s AND lane = %(lane)s AND number < %(before)s
     ORDER BY number DESC LIMIT %(limit)s)
) AS theirs
ORDER BY number DESC
LIMIT %(limit)s
"""

# Makes what is not there and revives what was given up, with a new schedule; what was delivered, or is pending, stays.
# Index: webhook_deliveries_endpoint_id_event_id_key.
OWE_AGAIN: LiteralString = """
INSERT INTO webhook_deliveries AS delivery
       (id, endpoint_id, event_id, body, status, attempts, next_attempt_at, created_at)
SELECT id, %(endpoint_id)s, event_id, body, 'pending', 0, statement_timestamp(), statement_timestamp()
FROM unnest(%(ids)s::uuid[], %(event_ids)s::uuid[], %(bodies)s::bytea[]) AS owed (id, event_id, body)
ORDER BY event_id
ON CONFLICT (endpoint_id, event_id) DO UPDATE
SET status = 'pending', next_attempt_at = excluded.next_attempt_at, finished_at = NULL,
    earlier_attempts = delivery.attempts
WHERE delivery.status = 'exhausted' AND delivery.attempts < %(attempts_max)s
"""

ADVANCE: LiteralString = """
UPDATE webhook_recoveries SET number = %(number)s, owed = owed + %(owed)s WHERE id = %(id)s
"""

# The next lane there is, from its newest event on; without one it is finished. Index: lanes_pkey.
NEXT_LANE: LiteralString = """
UPDATE webhook_recoveries AS recovery
SET lane = coalesce(next.lane, recovery.lane), number = NULL, owed = owed + %(owed)s,
    finished_at = CASE WHEN next.lane IS NULL THEN statement_timestamp() END
FROM (SELECT min(lane) AS lane FROM lanes WHERE lane > %(lane)s) AS next
WHERE recovery.id = %(id)s
"""

FINISH: LiteralString = "UPDATE webhook_recoveries SET finished_at = statement_timestamp() WHERE id = %(id)s"

_LAST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenRecovery:
    """A recovery that this transaction holds.

    Attributes:
        since: When what is owed begins: as asked for, but not before the endpoint was added or what is forgotten.
        lane: Where it is.
        number: Of the last event that was looked at there; None before the first.
        closed: The endpoint was deleted or disabled meanwhile.
    """

    id: UUID
    endpoint_id: UUID
    owner_id: UUID
    event_types: tuple[str, ...] | None
    since: datetime
    until: datetime
    lane: int
    number: int | None
    closed: bool

    @property
    def endpoint(self) -> Endpoint:
        """Return whom it is for."""
        return Endpoint(id=self.endpoint_id, owner_id=self.owner_id, event_types=self.event_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """One thing that happened, to a transfer or to an endpoint."""

    id: UUID
    number: int
    type: str
    transfer_id: UUID | None
    failure_code: str | None
    endpoint_id: UUID | None
    data: dict[str, Any] | None
    created_at: datetime


def take_recovery(tx: Connection) -> TakenRecovery | None:
    """Take the next recovery until the transaction ends, or return None if there is none."""
    with tx.cursor(row_factory=class_row(TakenRecovery)) as cursor:
        return cursor.execute(TAKE, {"kept_days": KEPT_DAYS}).fetchone()


def await_lane(connection: Connection, lane: int) -> None:
    """Wait until what a lane has under way is committed.

    Raises:
        psycopg.errors.LockNotAvailable: It takes long; ask again.
    """
    connection.execute(AWAIT_LANE, {"lane": lane})


def read_events(tx: Connection, recovery: TakenRecovery, *, limit: int) -> list[PastEvent]:
    """Read the next events that concern the owner in the recovery's lane, newest first."""
    before = _LAST_NUMBER if recovery.number is None else recovery.number
    parameters = {"owner_id": recovery.owner_id, "lane": recovery.lane, "before": before, "limit": limit}
    with tx.cursor(row_factory=class_row(PastEvent)) as cursor:
        return cursor.execute(READ_EVENTS, parameters).fetchall()


def owe_again(tx: Connection, endpoint_id: UUID, owed: Sequence[NewDelivery]) -> int:
    """Owe an endpoint what it was not delivered, and say how much of it that was."""
    parameters = {
        "endpoint_id": endpoint_id,
        "ids": [delivery.id for delivery in owed],
        "event_ids": [delivery.event_id for delivery in owed],
        "bodies": [delivery.body for delivery in owed],
        "attempts_max": ATTEMPTS_MAX,
    }
    return tx.execute(OWE_AGAIN, parameters).rowcount


def advance(tx: Connection, recovery: TakenRecovery, *, number: int, owed: int) -> None:
    """Note how far a recovery has come in its lane."""
    tx.execute(ADVANCE, {"id": recovery.id, "number": number, "owed": owed})


def go_to_next_lane(tx: Connection, recovery: TakenRecovery, *, owed: int) -> None:
    """Go on in the next lane, or finish the recovery if there is none."""
    tx.execute(NEXT_LANE, {"id": recovery.id, "lane": recovery.lane, "owed": owed})


def finish(tx: Connection, recovery: TakenRecovery) -> None:
    """End a recovery where it is."""
    tx.execute(FINISH, {"id": recovery.id})
