"""Deliver webhooks: claim what is due, send it with no transaction open, record what came of it."""

import asyncio
import contextlib
import random
from typing import Final, Protocol

import psycopg
import structlog

from shared import clock
from shared.database.claims import Attempt, ClaimedDelivery
from shared.domain.attempt import Answer, AttemptError
from shared.domain.retry import Schedule, wait_seconds
from shared.domain.webhook import transfer_id_in
from shared.identifiers import event_name
from worker.webhooks.claim import Claimed, Room, claim_due
from worker.webhooks.in_hand import InHand, Limits
from worker.webhooks.line import Line
from worker.webhooks.record import Recorder

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
"""PostgreSQL is asked at least this often, so that webhooks go out without the broker."""

GATHER_SECONDS: Final = 0.02
"""What came of a send is recorded so soon, and together with whatever else comes meanwhile."""

GATHER_MAX: Final = 256

WIND_DOWN_SECONDS: Final = 3.0
"""How long sends may go on after the order to stop. What is given up is sent again when its lease ends."""

_CHANCE: Final = random.SystemRandom()


class Send(Protocol):
    """Sends one delivery, and says what came of it."""

    async def __call__(self, delivery: ClaimedDelivery) -> Answer:
        """Send it once, in less time than a lease."""
        ...


class Deliverer:
    """Delivers from one process: one loop, many sends in flight, and two threads that speak to PostgreSQL.

    Claiming and recording do not wait for each other, so that sends go on while a commit takes its time.
    """

    def __init__(
        self,
        send: Send,
        *,
        database_url: str,
        recorder: Recorder,
        schedule: Schedule,
        limits: Limits,
        log_all: bool = False,
    ) -> None:
        """Connect nowhere yet. Made within the event loop that it runs in.

        Args:
            log_all: Log what is delivered, and not only what is not.
        """
        self._log_all = log_all
        self._send = send
        self._claiming, self._recording = Line(database_url), Line(database_url)
        self._recorder = recorder
        self._schedule = schedule
        self._limits = limits
        self._in_hand = InHand(limits)
        self._stopping = False
        self._look_wanted = asyncio.Event()
        self._record_wanted = asyncio.Event()
        # How many sends have to end before it is worth while to claim more; None if nothing more was due.
        self._ends_wanted: int | None = None
        self._sends: set[asyncio.Task[None]] = set()
        self._unrecorded: list[Attempt] = []
        self._released: list[ClaimedDelivery] = []

    def look(self) -> None:
        """Look for deliveries that are due, now."""
        self._look_wanted.set()

    def stop(self) -> None:
        """Take on nothing more, and let `run` return soon."""
        self._stopping = True
        self._look_wanted.set()
        self._record_wanted.set()

    async def run(self) -> None:
        """Deliver until told to stop, through any trouble with PostgreSQL or with receivers."""
        await asyncio.gather(self._claim_until_stopped(), self._record_until_stopped())
        await self._wind_down()

    async def _claim_until_stopped(self) -> None:
        while not self._stopping:
            self._look_wanted.clear()
            self._released += self._in_hand.give_back(now_seconds=clock.monotonic_seconds())
            try:
                claimed = await asyncio.to_thread(self._claim, self._room())
            except psycopg.Error as error:
                log.warning("webhooks.database_trouble", error=str(error))
                self._claiming.drop()
                self._ends_wanted = None
            else:
                self._ends_wanted = max(1, len(claimed.deliveries) // 2) if claimed.behind else None
                self._in_hand.take(claimed.deliveries, now_seconds=clock.monotonic_seconds())
                self._start()
                if claimed.closed:
                    self.look()
            await _event_or_timeout(self._look_wanted, POLL_SECONDS)

    def _claim(self, room: Room) -> Claimed:
        return claim_due(self._claiming.connected(), room, limits=self._limits)

    def _room(self) -> Room:
        # What is not recorded counts: without PostgreSQL it must not grow.
        total = self._limits.in_hand_max - len(self._in_hand) - len(self._unrecorded)
        return Room(total=max(0, total), counts=self._in_hand.counts(), windows=self._in_hand.windows())

    async def _record_until_stopped(self) -> None:
        while not self._stopping:
            await _event_or_timeout(self._record_wanted, POLL_SECONDS)
            self._record_wanted.clear()
            await self._record_all()

    async def _record_all(self) -> None:
        """Hand PostgreSQL what came of sends, in a thread: meanwhile the sends go on."""
        attempts, self._unrecorded = self._unrecorded, []
        released, self._released = self._released, []
        if not attempts and not released:
            return
        try:
            if await asyncio.to_thread(self._record, attempts, released):
                self.look()
        except (psycopg.DataError, psycopg.IntegrityError):
            # A defect of ours must not stop the rest: what could not be written down is sent again when its lease ends.
            log.exception("webhooks.attempts_not_recorded", count=len(attempts))
        except psycopg.Error as error:
            log.warning("webhooks.database_trouble", error=str(error))
            self._recording.drop()
            self._unrecorded[:0] = attempts

    def _record(self, attempts: list[Attempt], released: list[ClaimedDelivery]) -> bool:
        return self._recorder.record(self._recording.connected(), attempts, released=released)

    def _start(self) -> None:
        """Send whatever may be sent at this moment."""
        while not self._stopping and (delivery := self._in_hand.next()) is not None:
            task = asyncio.create_task(self._attempt(delivery))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    async def _attempt(self, delivery: ClaimedDelivery) -> None:
        started_at, started_seconds = clock.now(), clock.monotonic_seconds()
        answer = Answer(error=AttemptError.NOT_SENT)
        try:
            answer = await self._send(delivery)
        except Exception:  # a defect of ours in one send delays no other
            log.exception("webhook.not_sent", delivery_id=str(delivery.id))
        seconds = clock.monotonic_seconds() - started_seconds
        self._in_hand.end(delivery, seconds=seconds, delivered=answer.delivered)
        if self._log_all or not answer.delivered:
            _log_attempt(delivery, answer)
        self._unrecorded.append(
            Attempt(
                delivery=delivery,
                started_at=started_at,
                duration_ms=round(1_000 * seconds),
                answer=answer,
                wait_seconds=self._wait_seconds(delivery, answer),
            )
        )
        self._start()
        self._ask_for_more()

    def _ask_for_more(self) -> None:
        """Have the rest recorded and more claimed: soon, together with what ends meanwhile; at once if nothing is."""
        if len(self._unrecorded) >= GATHER_MAX or not len(self._in_hand):
            self._record_wanted.set()
        elif len(self._unrecorded) == 1:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._record_wanted.set)
        if self._ends_wanted is not None:
            self._ends_wanted -= 1
            if self._ends_wanted <= 0:
                self.look()

    def _wait_seconds(self, delivery: ClaimedDelivery, answer: Answer) -> float | None:
        if answer.delivered or answer.gone:
            return None
        return wait_seconds(
            delivery.attempts + 1,
            schedule=self._schedule,
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
        self._released += self._in_hand.give_back(now_seconds=float("inf"))
        await self._record_all()
        self._claiming.drop()
        self._recording.drop()


async def _event_or_timeout(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _log_attempt(delivery: ClaimedDelivery, answer: Answer) -> None:
    log.info(
        "webhook.delivered" if answer.delivered else "webhook.failed",
        transfer_id=transfer_id_in(delivery.body),
        event_id=event_name(delivery.event_id),
        delivery_id=str(delivery.id),
        endpoint_id=str(delivery.endpoint_id),
        http_status=answer.http_status,
        error=answer.error,
    )
