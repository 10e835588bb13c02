"""Exchange with PostgreSQL: hand in what came of sends, take what is to be sent. Sync, and run in a thread."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from psycopg import Connection

from shared.database import claims, endpoint_health
from shared.database.claims import Attempt, ClaimedDelivery
from shared.database.connections import WORKER, connect
from shared.database.endpoint_health import Seen
from shared.domain.endpoint_health import FAILING_FROM
from shared.identifiers import new_id
from worker.webhooks.give_up import give_up
from worker.webhooks.in_hand import Limits

log = structlog.get_logger()

WRITE_OFF_MAX: Final = 1_000
"""What is owed to closed endpoints is written off in so many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InHandNow:
    """What was in hand at one moment, and how much each endpoint may have; the thread must not look at the loop's own.

    Attributes:
        windows: Of endpoints that answered lately; the others may have what may be under way to one.
    """

    counts: Counter[UUID]
    windows: Mapping[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was claimed.

    Attributes:
        behind: Some endpoint had as much due as there was room for, so probably more.
        look_again: There is more to do at once.
    """

    claimed: list[ClaimedDelivery] = field(default_factory=list[ClaimedDelivery])
    behind: bool = False
    look_again: bool = False


class Exchange:
    """Keeps the connection of one process that delivers."""

    def __init__(
        self, *, database_url: str, limits: Limits, disable_after_seconds: float, probe_seconds: float
    ) -> None:
        """Connect nowhere yet; the first exchange does.

        Args:
            limits: How much may be in hand.
            disable_after_seconds: How long an endpoint may give nothing but failures.
            probe_seconds: Between two probes of one that keeps failing.
        """
        self._database_url = database_url
        self._limits = limits
        self._disable_after_seconds = disable_after_seconds
        self._probe_seconds = probe_seconds
        self._connection: Connection | None = None
        # Endpoints that this process saw fail and has not seen answer since; what it claimed before does not know that.
        self._failing: set[UUID] = set()

    def hand_in(self, attempts: Sequence[Attempt], released: Sequence[ClaimedDelivery]) -> bool:
        """Record what came of attempts, give claims back; say whether somebody is owed word of it.

        Raises:
            psycopg.Error: Nothing of it was written.
        """
        if not attempts and not released:
            return False
        connection = self._connected()
        seen = self._seen(attempts)
        if released:
            claims.release(connection, released)
        if not seen:
            self._record(connection, attempts)
            return False
        with connection.transaction():
            self._record(connection, attempts)
            endpoint_health.note(connection, seen, failing_from=FAILING_FROM, probe_seconds=self._probe_seconds)
            return give_up(connection, attempts, after_seconds=self._disable_after_seconds)

    def take(self, in_hand: InHandNow) -> Taken:
        """Claim what is due, as far as there is room for it, and write off what is owed to closed endpoints.

        Raises:
            psycopg.Error: PostgreSQL is in trouble.
        """
        connection = self._connected()
        owed = claims.read_owed(connection, failing_from=FAILING_FROM)
        written_off = 0
        if closed := [endpoint.endpoint_id for endpoint in owed if endpoint.closed]:
            written_off = claims.write_off(connection, closed, limit=WRITE_OFF_MAX)
        limit = 2 * self._limits.sends_max - in_hand.counts.total()
        rooms = self._rooms(connection, owed, in_hand=in_hand)
        if not rooms or limit <= 0:
            return Taken(look_again=written_off == WRITE_OFF_MAX)
        claimed = claims.claim(
            connection, rooms, claim_id=new_id(), limit=limit, lease_seconds=self._limits.lease_seconds
        )
        taken = Counter(delivery.endpoint_id for delivery in claimed)
        return Taken(
            claimed=claimed,
            behind=len(claimed) >= limit or any(taken[endpoint_id] >= room for endpoint_id, room in rooms.items()),
            look_again=written_off == WRITE_OFF_MAX,
        )

    def _rooms(
        self, connection: Connection, owed: Sequence[claims.OwedEndpoint], *, in_hand: InHandNow
    ) -> dict[UUID, int]:
        """Say how many to take for each endpoint: of those that keep failing one, and that by one process alone."""
        rooms = {
            endpoint.endpoint_id: in_hand.windows.get(endpoint.endpoint_id, self._limits.endpoint_sends_max)
            - in_hand.counts[endpoint.endpoint_id]
            for endpoint in owed
            if not endpoint.closed and not endpoint.failing
        }
        failing = [e.endpoint_id for e in owed if e.failing and not e.closed and not in_hand.counts[e.endpoint_id]]
        if failing:
            lease_seconds = self._limits.lease_seconds
            rooms |= dict.fromkeys(claims.take_probes(connection, failing, lease_seconds=lease_seconds), 1)
        return {endpoint_id: room for endpoint_id, room in rooms.items() if room > 0}

    def _seen(self, attempts: Sequence[Attempt]) -> list[Seen]:
        """Say what is worth noting of endpoints: that they failed, or no longer do. Of most there is nothing."""
        answered = {attempt.delivery.endpoint_id for attempt in attempts if attempt.answer.delivered}
        failed = Counter(attempt.delivery.endpoint_id for attempt in attempts if not attempt.answer.delivered)
        mended = {a.delivery.endpoint_id for a in attempts if a.answer.delivered and a.delivery.failures}
        first_failed_at = min((a.started_at for a in attempts if not a.answer.delivered), default=None)
        worth_noting = failed.keys() | mended | (answered & self._failing)
        self._failing = (self._failing | failed.keys()) - answered
        return [
            Seen(
                endpoint_id=endpoint_id,
                answered=endpoint_id in answered,
                failed=failed[endpoint_id],
                first_failed_at=first_failed_at,
            )
            for endpoint_id in worth_noting
        ]

    def _record(self, connection: Connection, attempts: Sequence[Attempt]) -> None:
        if not attempts:
            return
        recorded = claims.record(connection, attempts)
        if recorded < len(attempts):
            log.warning("webhooks.claims_lost", count=len(attempts) - recorded)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url, application_name="hishab-webhooks", timeouts=WORKER)
        return self._connection

    def disconnect(self) -> None:
        """Let go of the connection, and with it of whatever was under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
