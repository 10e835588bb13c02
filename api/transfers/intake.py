"""Accept together: requests that arrive while a write is under way share the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from psycopg import AsyncConnection, DataError, IntegrityError, errors
from psycopg_pool import AsyncConnectionPool

from shared.database.acceptance import accept, wait_less
from shared.database.commits import commit
from shared.domain.acceptance import Acceptance, Accepted, Refused, TransferRequest
from shared.domain.errors import IdempotencyKeyInUse, QueueUnavailable, RequestRefused
from shared.domain.lane import lane_of

log = structlog.get_logger()

GROUP_MAX: Final = 500
"""Requests per write. Source: architecture.md, section 3: groups of 500 were accepted at 22,000 to 27,000 a second."""

DEADLOCK_TRIES_MAX: Final = 3


class Intake:
    """The one door to the queue.

    A lone request on an idle system is written at once; under load a write takes whatever came during the one before.
    Nothing is answered before its row is committed, and each request gets its own answer.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        *,
        lane_count: int,
        waiting_max: int,
        wake_lane: Callable[[int], None],
    ) -> None:
        """Take what it stands on; `run` does the work.

        Args:
            waiting_max: Requests that may wait for a write; beyond that they are turned away.
            wake_lane: Called after a commit. Returns at once and never fails.
        """
        self._pool = pool
        self._lane_count = lane_count
        self._waiting_max = waiting_max
        self._wake_lane = wake_lane
        self._waiting: deque[tuple[TransferRequest, asyncio.Future[Acceptance]]] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False

    async def accept(self, request: TransferRequest) -> Acceptance:
        """Accept one transfer: when this returns `Accepted`, its row is committed.

        A caller who goes away does not stop the write.
        """
        if len(self._waiting) >= self._waiting_max:
            return Refused(reason=QueueUnavailable())
        answer: asyncio.Future[Acceptance] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """Write group after group, in a task of its own which no caller can cancel, until told to stop."""
        while not self._stopping:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(GROUP_MAX, len(self._waiting)))]
                await self._answer(group)

    def stop(self) -> None:
        """Let `run` end once everything that waits is written."""
        self._stopping = True
        self._arrived.set()

    async def _answer(self, group: Sequence[tuple[TransferRequest, asyncio.Future[Acceptance]]]) -> None:
        try:
            acceptances: list[Acceptance | Exception] = [*await self._write([request for request, _ in group])]
        except RequestRefused as reason:
            acceptances = [Refused(reason=reason)] * len(group)
        except Exception as error:  # a defect of ours must not leave callers waiting, nor end the intake
            log.exception("intake.failed", requests=len(group))
            acceptances = [error] * len(group)
        for (_, answer), acceptance in zip(group, acceptances, strict=True):
            if answer.done():
                continue
            if isinstance(acceptance, Exception):
                answer.set_exception(acceptance)
            else:
                answer.set_result(acceptance)

    async def _write(self, requests: Sequence[TransferRequest]) -> Sequence[Acceptance | Exception]:
        try:
            acceptances = await self._commit(requests)
        except (errors.LockNotAvailable, DataError, IntegrityError):
            # One of them cannot be written now, or ever: side by side, only that one suffers for it.
            alone = (self._write_alone(request) for request in requests)
            return [_answerable(answer) for answer in await asyncio.gather(*alone, return_exceptions=True)]
        self._wake(acceptances)
        return acceptances

    async def _write_alone(self, request: TransferRequest) -> Acceptance:
        try:
            acceptances = await self._commit([request], has_waited=True)
        except errors.LockNotAvailable:
            return Refused(reason=IdempotencyKeyInUse())
        except RequestRefused as reason:
            return Refused(reason=reason)
        self._wake(acceptances)
        return acceptances[0]

    async def _commit(self, requests: Sequence[TransferRequest], *, has_waited: bool = False) -> list[Acceptance]:
        async def write(tx: AsyncConnection) -> list[Acceptance]:
            if has_waited:
                await wait_less(tx)
            return await accept(tx, requests, lane_count=self._lane_count)

        for _ in range(DEADLOCK_TRIES_MAX):
            try:
                return await commit(self._pool, write)
            except errors.DeadlockDetected:
                log.warning("intake.deadlock", requests=len(requests))
        raise QueueUnavailable

    def _wake(self, acceptances: Sequence[Acceptance]) -> None:
        fresh = [a.transfer for a in acceptances if isinstance(a, Accepted) and not a.replayed]
        for lane in {lane_of(transfer.source_wallet_id, lane_count=self._lane_count) for transfer in fresh}:
            self._wake_lane(lane)


def _answerable(answer: Acceptance | BaseException) -> Acceptance | Exception:
    """Tell one request's answer from a defect of ours in it, which is that one's alone."""
    if isinstance(answer, Exception):
        log.error("intake.request_failed", exc_info=answer)
        return answer
    if isinstance(answer, BaseException):
        raise answer
    return answer
