"""Work lanes from one process: keep its connection to PostgreSQL, and wake whoever comes next."""

from typing import Final

import psycopg
import structlog
from psycopg import Connection

from shared import clock, crash_points
from shared.database import ledger, looks
from shared.database.connections import WORKER, connect
from shared.database.upkeep import end_silent, note_sweep
from shared.domain.apply import apply
from shared.identifiers import new_id
from shared.memory import collect_seldom
from shared.queue import DELIVER, WakeUps, apply_in
from shared.telemetry import first_line
from worker.lanes.apply import Drained, Holder, drain

log = structlog.get_logger()

# Trouble that is over by then costs no more than its own time; after it, upkeep comes back to the lane, for ever.
PAUSES_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
TROUBLE_SECONDS_MAX: Final = 10.0
"""When to leave a lane in trouble to the next one who comes: well within the time limit of a task."""


class LaneWorker:
    """Works lanes for one process. Made after a fork: a connection that crosses one mixes up answers."""

    def __init__(self, *, database_url: str, wake_ups: WakeUps, application_name: str = "hishab-lanes") -> None:
        """Connect nowhere yet; the first lane does."""
        collect_seldom()
        self._database_url = database_url
        self._application_name = application_name
        self._wake_ups = wake_ups
        self._holders: dict[int, Holder] = {}
        self._decide = crash_points.around("worker.decide", apply)
        self._connection: Connection | None = None

    def work(self, lane: int) -> Drained:
        """Work a lane until it is empty, through passing trouble with PostgreSQL."""
        self._wake_ups.received(apply_in(lane))
        holder = self._holders.setdefault(lane, Holder(id=new_id(), decide=self._decide))
        deadline_seconds = clock.monotonic_seconds() + TROUBLE_SECONDS_MAX
        for pause_seconds in PAUSES_SECONDS:
            if clock.monotonic_seconds() > deadline_seconds:
                break
            try:
                drained = drain(self._connected(), lane=lane, holder=holder)
            except (psycopg.Error, ledger.QueueChangedError) as error:
                log.warning("lane.interrupted", lane=lane, error=first_line(error))
                self.disconnect()
                clock.pause(pause_seconds)
            else:
                self._pass_on(drained, lane=lane)
                return drained
        return Drained()

    def forgotten_lanes(self, *, age_seconds: float) -> list[int]:
        """Name the lanes whose head has waited longer than that.

        Raises:
            psycopg.Error: PostgreSQL is in trouble.
        """
        return looks.forgotten_lanes(self._connected(), age_seconds=age_seconds)

    def end_silent_holders(self) -> None:
        """End whoever may hold a lane and has sent nothing for as long as PostgreSQL would have let them, elsewhere.

        Raises:
            psycopg.Error: PostgreSQL is in trouble.
        """
        if ended := end_silent(self._connected(), seconds=WORKER.statement_seconds):
            log.warning("lane.silent_holders_ended", connections=ended)

    def note_sweep(self) -> None:
        """Note that all lanes were looked at.

        Raises:
            psycopg.Error: PostgreSQL is in trouble.
        """
        note_sweep(self._connected())

    def disconnect(self) -> None:
        """Let go of the connection, and with it of whatever was under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url, application_name=self._application_name, timeouts=WORKER)
        return self._connection

    def _pass_on(self, drained: Drained, *, lane: int) -> None:
        if drained.owed:
            self._wake_ups.send(DELIVER)
        if drained.left_over:
            self._wake_ups.send(apply_in(lane))
