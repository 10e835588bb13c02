"""Deliver webhooks: claim what is due, send it with no transaction open, record what came of it."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection

from shared import clock
from shared.database import deliveries
from shared.database.connections import WORKER, connect
from shared.database.deliveries import Attempt, ClaimedDelivery
from shared.domain.attempt import Answer, AttemptError
from shared.domain.retry import wait_seconds
from shared.identifiers import new_id

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
"""PostgreSQL is asked at least this often, so that webhooks go out without the broker."""

WIND_DOWN_SECONDS: Final = 3.0
"""How long sends may go on after the order to stop. What is given up is sent again when its lease ends."""

WRITE_OFF_MAX: Final = 1_000
"""What is owed to deleted endpoints is written off in so many at a time."""

_CHANCE: Final = random.SystemRandom()


class Send(Protocol):
    """Sends one delivery, and says what came of it."""

    async def __call__(self, delivery: ClaimedDelivery, *, at: datetime) -> Answer:
        """Send it once, in less time than a lease."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is under way at once.

    Attributes:
        sends_max: By this process.
        endpoint_sends_max: To one endpoint, so that one that hangs holds a share and not all.
        lease_seconds: How long a claim lasts: a whole send of 15 s, and as long again for recording it.
    """

    sends_max: int = 256
    endpoint_sends_max: int = 16
    lease_seconds: float = 30.0


class Deliverer:
    """Delivers from one process: one loop, many sends in flight, one connection to PostgreSQL."""

    def __init__(
        self, send: Send, *, database_url: str, schedule_seconds: Sequence[float], limits: Limits | None = None
    ) -> None:
        """Connect nowhere yet. Made within the event loop that it runs in."""
        self._send = send
        self._database_url = database_url
        self._schedule_seconds = schedule_seconds
        self._limits = limits or Limits()
        self._connection: Connection | None = None
        self._awake = asyncio.Event()
        self._stopping = False
        self._look_wanted = True
        self._looked_at_seconds = 0.0
        self._sends: dict[asyncio.Task[Attempt], ClaimedDelivery] = {}
        self._unrecorded: list[Attempt] = []
        # Endpoints that had as much due as there was room for, so probably more.
        self._behind: set[UUID] = set()

    def look(self) -> None:
        """Look for deliveries that are due, now."""
        self._look_wanted = True
        self._awake.set()

    def stop(self) -> None:
        """Take on nothing more, and let `run` return soon."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Deliver until told to stop, through any trouble with PostgreSQL or with receivers."""
        while not self._stopping:
            for delivery in await self._exchange():
                self._start(delivery)
            await self._rest()
        await self._wind_down()

    async def _rest(self) -> None:
        """Wait until something was sent, somebody says that something is due, or it is time to look."""
        if not self._has_room_for_more():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._awake.wait()
        self._awake.clear()

    def _has_room_for_more(self) -> bool:
        busy = self._busy()
        return busy.total() < self._limits.sends_max and any(
            busy[endpoint_id] < self._limits.endpoint_sends_max for endpoint_id in self._behind
        )

    def _busy(self) -> Counter[UUID]:
        """Count what is under way to each endpoint."""
        return Counter(delivery.endpoint_id for delivery in self._sends.values())

    async def _exchange(self) -> list[ClaimedDelivery]:
        """Hand PostgreSQL what came of sends, and take what is to be sent, in a thread: meanwhile the sends go on."""
        attempts, self._unrecorded = self._unrecorded, []
        # Counted here: the thread must not look at what the loop changes meanwhile.
        busy = self._busy() if self._is_time_to_look() else None
        try:
            return await asyncio.to_thread(self._ask_database, attempts, busy)
        except (psycopg.DataError, psycopg.IntegrityError):
            # A defect of ours must not stop the rest: what could not be written down is sent again when its lease ends.
            log.exception("webhooks.attempts_not_recorded", count=len(attempts))
        except psycopg.Error as error:
            log.warning("webhooks.database_trouble", error=str(error))
            # They cannot grow beyond what is in flight: without PostgreSQL nothing new is claimed.
            self._unrecorded[:0] = attempts
        self._disconnect()
        self._behind = set()
        return []

    def _is_time_to_look(self) -> bool:
        now_seconds = clock.monotonic_seconds()
        due = now_seconds - self._looked_at_seconds >= POLL_SECONDS
        look = not self._stopping and (self._look_wanted or due or self._has_room_for_more())
        if look:
            self._look_wanted, self._looked_at_seconds = False, now_seconds
        return look

    def _ask_database(self, attempts: Sequence[Attempt], busy: Counter[UUID] | None) -> list[ClaimedDelivery]:
        connection = self._connected()
        if attempts:
            recorded = deliveries.record(connection, attempts)
            if recorded < len(attempts):
                log.warning("webhooks.claims_lost", count=len(attempts) - recorded)
        return [] if busy is None else self._claim(connection, busy)

    def _claim(self, connection: Connection, busy: Counter[UUID]) -> list[ClaimedDelivery]:
        owed = deliveries.read_owed(connection)
        if deleted := [endpoint.endpoint_id for endpoint in owed if endpoint.deleted]:
            deliveries.write_off(connection, deleted, limit=WRITE_OFF_MAX)
        rooms = {
            endpoint.endpoint_id: self._limits.endpoint_sends_max - busy[endpoint.endpoint_id]
            for endpoint in owed
            if not endpoint.deleted
        }
        limit = self._limits.sends_max - busy.total()
        claimed = deliveries.claim(
            connection, rooms, claim_id=new_id(), limit=limit, lease_seconds=self._limits.lease_seconds
        )
        taken = Counter(delivery.endpoint_id for delivery in claimed)
        self._behind = {
            endpoint_id for endpoint_id, room in rooms.items() if taken[endpoint_id] >= room or len(claimed) >= limit
        }
        return claimed

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url, application_name="hishab-webhooks", timeouts=WORKER)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _start(self, delivery: ClaimedDelivery) -> None:
        task = asyncio.create_task(self._attempt(delivery))
        self._sends[task] = delivery
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Attempt]) -> None:
        del self._sends[task]
        if not task.cancelled():
            self._unrecorded.append(task.result())
        self._awake.set()

    async def _attempt(self, delivery: ClaimedDelivery) -> Attempt:
        started_at, started_seconds = clock.now(), clock.monotonic_seconds()
        try:
            answer = await self._send(delivery, at=started_at)
        except Exception:  # a defect of ours in one send delays no other
            log.exception("webhook.not_sent", delivery_id=str(delivery.id))
            answer = Answer(error=AttemptError.NOT_SENT)
        duration_ms = round(1_000 * (clock.monotonic_seconds() - started_seconds))
        if not answer.delivered:
            log.info(
                "webhook.failed",
                delivery_id=str(delivery.id),
                endpoint_id=str(delivery.endpoint_id),
                http_status=answer.http_status,
                error=answer.error,
            )
        return Attempt(
            delivery=delivery,
            started_at=started_at,
            duration_ms=duration_ms,
            answer=answer,
            wait_seconds=self._wait_seconds(delivery, answer),
        )

    def _wait_seconds(self, delivery: ClaimedDelivery, answer: Answer) -> float | None:
        if answer.delivered:
            return None
        return wait_seconds(
            delivery.attempts + 1,
            schedule_seconds=self._schedule_seconds,
            overloaded=answer.overloaded,
            retry_after_seconds=answer.retry_after_seconds,
            chance=_CHANCE.random(),
        )

    async def _wind_down(self) -> None:
        """Let sends end for a moment, give up the rest, and record what is known."""
        if self._sends:
            _, unfinished = await asyncio.wait(self._sends, timeout=WIND_DOWN_SECONDS)
            for send in unfinished:
                send.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        if self._unrecorded:
            await self._exchange()
        self._disconnect()
