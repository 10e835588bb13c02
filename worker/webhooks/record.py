"""Record what came of attempts, and what it says of their endpoints. Sync, and run in a thread."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import structlog
from psycopg import Connection

from shared.database import claims, endpoint_health
from shared.database.claims import Attempt, ClaimedDelivery
from shared.database.endpoint_health import Seen
from shared.domain.endpoint_health import FAILING_FROM
from worker.webhooks.give_up import give_up

log = structlog.get_logger()


class Recorder:
    """Records for one process that delivers."""

    def __init__(self, *, disable_after_seconds: float, probe_seconds: float) -> None:
        """Remember nothing yet.

        Args:
            disable_after_seconds: How long an endpoint may give nothing but failures.
            probe_seconds: Between two probes of one that keeps failing.
        """
        self._disable_after_seconds = disable_after_seconds
        self._probe_seconds = probe_seconds
        # Endpoints that this process saw fail and has not seen answer since; what it claimed before does not know that.
        self._failing: set[UUID] = set()

    def record(
        self, connection: Connection, attempts: Sequence[Attempt], *, released: Sequence[ClaimedDelivery]
    ) -> bool:
        """Record what came of attempts, give claims back; say whether somebody is owed word of it.

        Raises:
            psycopg.Error: Nothing of what came of the attempts was written.
        """
        if released:
            claims.release(connection, released)
        if not attempts:
            return False
        seen = self._seen(attempts)
        if not seen:
            _record(connection, attempts)
            return False
        with connection.transaction():
            _record(connection, attempts)
            endpoint_health.note(connection, seen, failing_from=FAILING_FROM, probe_seconds=self._probe_seconds)
            return give_up(connection, attempts, after_seconds=self._disable_after_seconds)

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


def _record(connection: Connection, attempts: Sequence[Attempt]) -> None:
    recorded = claims.record(connection, attempts)
    if recorded < len(attempts):
        log.warning("webhooks.claims_lost", count=len(attempts) - recorded)
