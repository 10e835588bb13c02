"""Work lanes, sweep and deliver webhooks as the workers do, who die and come back, and let time pass."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

import psycopg

from shared.database import ledger
from shared.database.claims import Attempt, ClaimedDelivery
from shared.domain.attempt import Answer
from shared.domain.retry import Schedule, wait_seconds
from shared.identifiers import new_id
from shared.queue import WakeUps
from tests.simulation.interruption import InterruptibleConnection, Interruption, await_its_end, worker_connection
from tests.simulation.model import Invariant
from tests.simulation.world import LANE, World
from worker.lanes.apply import BATCH_MAX, Holder, drain
from worker.lanes.worker import LaneWorker
from worker.upkeep.sweep import sweep
from worker.webhooks.claim import Room, claim_due
from worker.webhooks.in_hand import Limits
from worker.webhooks.record import Recorder

DEATHS_MAX: Final = 4
"""Of workers, in one simulation: five while it was worked at alone would rightly end a transfer as unprocessable."""

PASSES: Final = timedelta(days=2)
"""How much older everything gets at once: more than any lease, wait or mark lasts."""

NO_BROKER: Final = "redis://127.0.0.1:1/0"
SWEEP_AGE_SECONDS: Final = 3_600.0
LIMITS: Final = Limits(lease_seconds=3_600.0)
SCHEDULE: Final = Schedule(waits_seconds=[3_600.0] * 900, overloaded_seconds=3_600.0)
WEBHOOKS: Final = "webhooks"

# Rows that somebody has locked are left alone: they are in work, and this may be in its middle.
AGE: Final[Sequence[LiteralString]] = (
    """
    UPDATE lanes SET busy_since = busy_since - %(by)s
    WHERE lane IN (SELECT lane FROM lanes WHERE busy_since IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED)
    """,
    """
    UPDATE queue SET accepted_at = accepted_at - %(by)s
    WHERE (lane, position) IN (SELECT lane, position FROM queue FOR NO KEY UPDATE SKIP LOCKED)
    """,
    """
    UPDATE webhook_deliveries
    SET next_attempt_at = next_attempt_at - %(by)s, claimed_until = claimed_until - %(by)s
    WHERE id IN (SELECT id FROM webhook_deliveries WHERE status = 'pending' FOR NO KEY UPDATE SKIP LOCKED)
    """,
    """
    UPDATE webhook_endpoints SET next_probe_at = next_probe_at - %(by)s
    WHERE id IN (SELECT id FROM webhook_endpoints FOR NO KEY UPDATE SKIP LOCKED)
    """,
)
# As young as can be until time passes, however slow this machine is: the same seed has to do the same again.
KEEP_YOUNG: LiteralString = (
    "UPDATE lanes SET busy_since = clock_timestamp() + interval '1 day' WHERE busy_by IS NOT NULL"
)
STEP_BACK: LiteralString = """
UPDATE lanes SET last_applied_at = last_applied_at + %s
WHERE lane IN (SELECT lane FROM lanes FOR NO KEY UPDATE SKIP LOCKED)
"""


class Workers:
    """Two who work lanes, upkeep, and one who delivers."""

    def __init__(self, world: World) -> None:
        """Begin with nobody connected."""
        self._world = world
        self._connections: dict[str, InterruptibleConnection] = {}
        self._holders: dict[str, Holder] = {}
        self._recorder = Recorder(disable_after_seconds=10.0**9, probe_seconds=SCHEDULE.probe_seconds)
        self._deaths = 0
        self.received: list[ClaimedDelivery] = []
        self.troubles: list[str] = []

    def work(
        self,
        worker: str = "first",
        *,
        lane: int = LANE,
        limit: int = BATCH_MAX,
        stays: bool = True,
        interruption: Interruption | None = None,
        dies: bool = False,
    ) -> None:
        """Have a worker come to a lane.

        Args:
            limit: Transfers in its first batch.
            stays: Until the lane is empty; otherwise for one batch.
            dies: If its connection is cut, it is another process that comes back.
        """
        world = self._world
        connection, holder = self._connected(worker), self._holders.setdefault(worker, Holder(id=new_id()))
        connection.interruption = interruption
        holder.limit = limit
        was_draining, world.is_draining = world.is_draining, True
        try:
            drained = drain(connection, lane=lane, holder=holder, seconds_max=60.0 if stays else 0.0)
        except (psycopg.Error, ledger.QueueChangedError) as error:
            self._drop(worker, error, interruption=interruption)
            if dies and self._deaths < DEATHS_MAX:
                self._deaths += 1
                del self._holders[worker]
        else:
            connection.interruption = None
            if drained.left_over:
                world.wake_ups.append(lane)
        finally:
            world.is_draining = was_draining

    def sweep(self) -> None:
        """Have upkeep look for lanes that were left behind."""
        worker = LaneWorker(database_url=self._world.database_url, wake_ups=WakeUps(NO_BROKER))
        sweep(worker, age_seconds=SWEEP_AGE_SECONDS)
        worker.disconnect()

    def deliver(self, *, down: frozenset[UUID] = frozenset(), interruption: Interruption | None = None) -> None:
        """Claim what is due, send it, record what came of it; to endpoints that are down nothing gets through."""
        connection = self._connected(WEBHOOKS)
        connection.interruption = interruption
        try:
            claimed = claim_due(connection, Room(total=100, counts=Counter(), windows={}), limits=LIMITS)
            self.received += [one for one in claimed.deliveries if one.endpoint_id not in down]
            attempts = [self._attempt(one, is_down=one.endpoint_id in down) for one in claimed.deliveries]
            self._recorder.record(connection, attempts, released=[])
            connection.interruption = None
        except psycopg.Error as error:
            self._drop(WEBHOOKS, error, interruption=interruption)

    def let_time_pass(self) -> None:
        """Make whatever PostgreSQL wrote a time on so old that every wait is over."""
        for statement in AGE:
            self._world.books.connection.execute(statement, {"by": PASSES})

    def step_clocks(self, hours: int) -> None:
        """Set our clock, and have PostgreSQL's look as if it had been set back (it cannot be stepped)."""
        self._world.now += timedelta(hours=hours)
        self._world.books.connection.execute(STEP_BACK, (timedelta(hours=abs(hours)),))

    def close(self) -> None:
        """Let go."""
        for connection in self._connections.values():
            connection.close()

    def _attempt(self, delivery: ClaimedDelivery, *, is_down: bool) -> Attempt:
        wait = wait_seconds(
            delivery.attempts + 1, schedule=SCHEDULE, overloaded=False, retry_after_seconds=None, chance=0.5
        )
        return Attempt(
            delivery=delivery,
            started_at=self._world.now,
            duration_ms=1,
            answer=Answer(http_status=503 if is_down else 200),
            wait_seconds=wait if is_down else None,
        )

    def _connected(self, worker: str) -> InterruptibleConnection:
        if worker not in self._connections:
            self._connections[worker] = worker_connection(self._world.database_url)
        return self._connections[worker]

    def _drop(self, worker: str, error: Exception, *, interruption: Interruption | None) -> None:
        """Let go of a connection as a worker does who is in trouble, and wait until PostgreSQL has let go too."""
        self.troubles.append(f"{type(error).__name__}: {error}".splitlines()[0])
        if interruption is None or not interruption.has_cut:
            self._world.complain(Invariant.NO_TROUBLE, f"{worker}: {self.troubles[-1]}")
        self._world.are_lost = True
        connection = self._connections.pop(worker)
        connection.close()
        await_its_end(self._world.books.connection, connection.backend_pid)
        self._world.books.connection.execute(KEEP_YOUNG)
