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
from worker.webhooks.exchange import Exchange, InHandNow, Taken
from worker.webhooks.in_hand import InHand, Limits

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
"""PostgreSQL is asked at least this often, so that webhooks go out without the broker."""

GATHER_SECONDS: Final = 0.02
"""What came of sends is recorded so soon, and together with whatever else comes meanwhile."""

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
    """Delivers from one process: one loop, many sends in flight, one connection to PostgreSQL."""

    def __init__(self, send: Send, *, exchange: Exchange, schedule: Schedule, limits: Limits) -> None:
        """Connect nowhere yet. Made within the event loop that it runs in."""
        self._send = send
        self._exchange = exchange
        self._schedule = schedule
        self._in_hand = InHand(limits)
        self._awake = asyncio.Event()
        self._stopping = False
        self._look_wanted = True
        self._looked_at_seconds = 0.0
        self._sends: set[asyncio.Task[None]] = set()
        self._unrecorded: list[Attempt] = []
        self._released: list[ClaimedDelivery] = []
        # Some endpoint had as much due as there was room for, so probably more.
        self._behind = False
        self._timer: asyncio.TimerHandle | None = None

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
            await self._exchange_all()
            await self._rest()
        await self._wind_down()

    async def _rest(self) -> None:
        """Wait until something was sent, somebody says that something is due, or it is time to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._awake.wait()
        self._awake.clear()

    async def _exchange_all(self) -> None:
        """Hand PostgreSQL what came of sends, and take what is to be sent, in a thread: meanwhile the sends go on."""
        self._released += self._in_hand.give_back(now_seconds=clock.monotonic_seconds())
        attempts, self._unrecorded = self._unrecorded, []
        released, self._released = self._released, []
        looks = self._is_time_to_look()
        # Counted here: the thread must not look at what the loop changes meanwhile.
        in_hand = InHandNow(counts=self._in_hand.counts(), windows=self._in_hand.windows()) if looks else None
        if not attempts and not released and in_hand is None:
            return
        try:
            tells, taken = await asyncio.to_thread(self._ask, attempts, released, in_hand)
        except (psycopg.DataError, psycopg.IntegrityError):
            # A defect of ours must not stop the rest: what could not be written down is sent again when its lease ends.
            log.exception("webhooks.attempts_not_recorded", count=len(attempts))
        except psycopg.Error as error:
            log.warning("webhooks.database_trouble", error=str(error))
            # They cannot grow beyond what is in flight: without PostgreSQL nothing new is claimed.
            self._unrecorded[:0] = attempts
        else:
            self._behind = taken.behind
            self._in_hand.take(taken.claimed, now_seconds=clock.monotonic_seconds())
            self._start()
            if tells or taken.look_again:
                self.look()
            return
        self._exchange.disconnect()
        self._behind = False

    def _ask(
        self, attempts: list[Attempt], released: list[ClaimedDelivery], in_hand: InHandNow | None
    ) -> tuple[bool, Taken]:
        tells = self._exchange.hand_in(attempts, released)
        taken = Taken(behind=self._behind) if in_hand is None else self._exchange.take(in_hand)
        return tells, taken

    def _is_time_to_look(self) -> bool:
        now_seconds = clock.monotonic_seconds()
        due = now_seconds - self._looked_at_seconds >= POLL_SECONDS
        look = not self._stopping and (self._look_wanted or due or self._behind)
        if look:
            self._look_wanted, self._looked_at_seconds = False, now_seconds
        return look

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
        if not answer.delivered:
            _log_failure(delivery, answer)
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
        self._wake_soon()

    def _wake_soon(self) -> None:
        """Exchange once enough has come of sends, or after a moment; at once if nothing is left to be sent."""
        if len(self._unrecorded) >= GATHER_MAX or not len(self._in_hand):
            self._awake.set()
        elif self._timer is None or self._timer.when() < asyncio.get_running_loop().time():
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._awake.set)

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
        await self._exchange_all()
        self._exchange.disconnect()


def _log_failure(delivery: ClaimedDelivery, answer: Answer) -> None:
    log.info(
        "webhook.failed",
        delivery_id=str(delivery.id),
        endpoint_id=str(delivery.endpoint_id),
        http_status=answer.http_status,
        error=answer.error,
    )
