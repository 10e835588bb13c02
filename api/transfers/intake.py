"""Accept together: requests that arrive while a write is under way share the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog
from psycopg import AsyncConnection, DataError, IntegrityError, errors

from api.transfers.figures import Figures
from api.transfers.room import Room
from shared import clock
from shared.database.acceptance import wait_less
from shared.database.commits import commit, commit_at_once
from shared.database.pool import Pool
from shared.domain.acceptance import Refused
from shared.domain.errors import IdempotencyKeyInUse, QueueUnavailable, RequestRefused
from shared.domain.lane import lane_of

log = structlog.get_logger()

GROUP_MAX: Final = 500
"""Transfers per write of single ones. Source: architecture.md, section 3: groups of 500 went in at 22,000 a second."""

BATCH_GROUP_MAX: Final = 1_000
"""Transfers per write of batches, unless the first is larger. Source: docs/decisions/0013."""

WRITES_MAX: Final = 3
"""At once, at one door."""

BESIDE_MIN: Final = 8
"""Single ones that have to wait for another write to begin beside those under way. Source: docs/decisions/0035."""

SHARE_MAX: Final = 64
"""Transfers per write while one more may begin beside it. Source: docs/decisions/0039."""

DEADLOCK_TRIES_MAX: Final = 3


class _Request(Protocol):
    @property
    def owner_id(self) -> UUID: ...

    @property
    def transfer_count(self) -> int: ...


class _Answer(Protocol):
    @property
    def replayed(self) -> bool: ...

    @property
    def fresh_source_ids(self) -> Collection[UUID]: ...


Request = TypeVar("Request", bound=_Request)
Answer = TypeVar("Answer", bound=_Answer)
Written = TypeVar("Written")
Request_contra = TypeVar("Request_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Accept(Protocol[Request_contra, Answer_co]):
    """Writes requests in a transaction, and answers each alone: `accept` or `accept_batches` of shared.database."""

    async def __call__(
        self, tx: AsyncConnection, requests: Sequence[Request_contra], /, *, lane_count: int, is_full: bool
    ) -> Sequence[Answer_co | Refused]:
        """Do that."""
        ...


class AcceptAtOnce(Protocol[Request_contra, Answer_co]):
    """Writes requests in one statement that commits by itself, as `accept_at_once`; None is left for `Accept`."""

    async def __call__(
        self, connection: AsyncConnection, requests: Sequence[Request_contra], /, *, lane_count: int, is_full: bool
    ) -> Sequence[Answer_co | Refused | None]:
        """Do that."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What all doors to the queue have in common.

    Attributes:
        is_full: Says whether the queue of record takes nothing new for the time being.
        wake_lane: Called after a commit. Returns at once and never fails.
    """

    pool: Pool
    lane_count: int
    is_full: Callable[[], bool]
    wake_lane: Callable[[int], None]


class _Waiting(NamedTuple, Generic[Request, Answer]):
    request: Request
    transfers: int
    body_bytes: int
    answer: asyncio.Future[Answer | Refused]


class Intake(Generic[Request, Answer]):
    """A door to the queue: one for transfers and one for batches, so that no transfer waits behind a batch.

    A lone request on an idle system is written at once; under load a write takes whatever came during the one before,
    and once enough has come begins beside it.
    Nothing is answered before its row is committed, and each request gets its own answer.
    """

    def __init__(
        self,
        doors: Doors,
        *,
        room: Room,
        accept: Accept[Request, Answer],
        accept_at_once: AcceptAtOnce[Request, Answer] | None = None,
        group_max: int,
        beside_min: int | None = None,
    ) -> None:
        """Take what it stands on; `run` does the work.

        Args:
            room: This door's own, so that what waits at another takes none of it.
            accept_at_once: Tried first, if there is one.
            group_max: Transfers per write, unless the first request alone is of more.
            beside_min: Requests that have to wait for another write to begin beside those under way. None ever does, if
                this is None.
        """
        self._doors = doors
        self.room: Final = room
        self.figures: Final = Figures()
        self._accept = accept
        self._accept_at_once = accept_at_once
        self._group_max = group_max
        self._waiting: deque[_Waiting[Request, Answer]] = deque()
        self._writes_max = 1 if beside_min is None else WRITES_MAX
        self._beside_min = beside_min or inf
        self._changed = asyncio.Event()
        self._writes: list[asyncio.Task[None]] = []
        self._stopping = False

    async def accept(self, request: Request, *, body_bytes: int = 0) -> Answer | Refused:
        """Accept what is asked for: unless this returns a refusal, its rows are committed.

        A caller who goes away does not stop the write.

        Args:
            body_bytes: The size of what was received, which stays in memory until it is answered.
        """
        transfers = request.transfer_count
        if not self.room.take(owner_id=request.owner_id, transfers=transfers, body_bytes=body_bytes):
            self.figures.count_refused(QueueUnavailable())
            return Refused(reason=QueueUnavailable())
        answer: asyncio.Future[Answer | Refused] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, transfers, body_bytes, answer))
        if self._may_write():
            self._changed.set()
        return await answer

    async def run(self) -> None:
        """Write group after group, in tasks which no caller can cancel, until told to stop."""
        while not self._stopping or self._waiting or self._writes:
            await self._changed.wait()
            self._changed.clear()
            for write in [write for write in self._writes if write.done()]:
                self._writes.remove(write)
                # It raises nothing but what has to end the process.
                write.result()
            while self._may_write():
                write = asyncio.create_task(self._answer(self._next_group()), name="intake write")
                write.add_done_callback(lambda _: self._changed.set())
                self._writes.append(write)

    def _may_write(self) -> bool:
        """Say whether a write may begin: while one waits for the disk, another makes use of the processor."""
        if not self._writes:
            return bool(self._waiting)
        return len(self._writes) < self._writes_max and len(self._waiting) >= self._beside_min

    def stop(self) -> None:
        """Let `run` end once everything that waits is written."""
        self._stopping = True
        self._changed.set()

    def _next_group(self) -> list[_Waiting[Request, Answer]]:
        # A share, so that its callers are answered, and ask again, while the others are written; but where commits are
        # so slow that all writes are under way, the last one takes whatever there is, and so nobody waits for two.
        is_last = len(self._writes) == self._writes_max - 1
        transfers_max = self._group_max if is_last else SHARE_MAX
        group = [self._waiting.popleft()]
        transfers = group[0].transfers
        while self._waiting and transfers + self._waiting[0].transfers <= transfers_max:
            group.append(self._waiting.popleft())
            transfers += group[-1].transfers
        return group

    async def _answer(self, group: Sequence[_Waiting[Request, Answer]]) -> None:
        write = self._write if self._accept_at_once is None else partial(self._write_at_once, self._accept_at_once)
        began_seconds = clock.monotonic_seconds()
        answers = await self._settle([w.request for w in group], write=write)
        self.figures.write_seconds.add([clock.monotonic_seconds() - began_seconds])
        self.figures.group_sizes.add([sum(w.transfers for w in group)])
        for waiting, answer in zip(group, answers, strict=True):
            self._count(answer, transfers=waiting.transfers)
            self.room.give_back(
                owner_id=waiting.request.owner_id, transfers=waiting.transfers, body_bytes=waiting.body_bytes
            )
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    def _count(self, answer: Answer | Refused | Exception, *, transfers: int) -> None:
        match answer:
            case Refused():
                self.figures.count_refused(answer.reason)
            case Exception():
                self.figures.count_defect()
            case _:
                self.figures.count_accepted(transfers=transfers, replayed=answer.replayed)

    async def _settle(
        self,
        requests: Sequence[Request],
        *,
        write: Callable[[Sequence[Request]], Awaitable[Sequence[Answer | Refused | Exception]]],
    ) -> Sequence[Answer | Refused | Exception]:
        """Write requests, whatever happens: each gets an answer or an exception of its own."""
        try:
            return await write(requests)
        except (errors.LockNotAvailable, DataError, IntegrityError):
            # One of them cannot be written now, or ever: side by side, only that one suffers for it.
            alone = (self._write_alone(request) for request in requests)
            return [_answerable(answer) for answer in await asyncio.gather(*alone, return_exceptions=True)]
        except RequestRefused as reason:
            self.figures.count_failed_write(reason)
            return [Refused(reason=reason)] * len(requests)
        except Exception as error:  # a defect of ours must not leave callers waiting, nor end the intake
            log.exception("intake.failed", requests=len(requests))
            return [error] * len(requests)

    async def _write_at_once(
        self, accept_at_once: AcceptAtOnce[Request, Answer], requests: Sequence[Request]
    ) -> Sequence[Answer | Refused | Exception]:
        async def write(connection: AsyncConnection) -> Sequence[Answer | Refused | None]:
            return await accept_at_once(
                connection, requests, lane_count=self._doors.lane_count, is_full=self._doors.is_full()
            )

        answers = await self._despite_deadlocks(lambda: commit_at_once(self._doors.pool, write))
        answered = [answer for answer in answers if answer is not None]
        self._wake(answered)
        if len(answered) == len(requests):
            return answered
        left = [request for request, answer in zip(requests, answers, strict=True) if answer is None]
        # What is accepted stays accepted, whatever becomes of those.
        others = iter(await self._settle(left, write=self._write))
        return [next(others) if answer is None else answer for answer in answers]

    async def _write(self, requests: Sequence[Request], *, has_waited: bool = False) -> Sequence[Answer | Refused]:
        async def write(tx: AsyncConnection) -> Sequence[Answer | Refused]:
            if has_waited:
                await wait_less(tx)
            return await self._accept(tx, requests, lane_count=self._doors.lane_count, is_full=self._doors.is_full())

        answers = await self._despite_deadlocks(lambda: commit(self._doors.pool, write))
        self._wake(answers)
        return answers

    async def _write_alone(self, request: Request) -> Answer | Refused:
        try:
            (answer,) = await self._write([request], has_waited=True)
        except errors.LockNotAvailable:
            return Refused(reason=IdempotencyKeyInUse())
        except RequestRefused as reason:
            return Refused(reason=reason)
        return answer

    async def _despite_deadlocks(self, write: Callable[[], Awaitable[Written]]) -> Written:
        for _ in range(DEADLOCK_TRIES_MAX):
            try:
                return await write()
            except errors.DeadlockDetected:
                log.warning("intake.deadlock")
        raise QueueUnavailable

    def _wake(self, answers: Sequence[Answer | Refused]) -> None:
        accepted = [answer for answer in answers if not isinstance(answer, Refused)]
        sources = (source_id for answer in accepted for source_id in answer.fresh_source_ids)
        for lane in {lane_of(source_id, lane_count=self._doors.lane_count) for source_id in sources}:
            self._doors.wake_lane(lane)


def _answerable(answer: Answer | Refused | BaseException) -> Answer | Refused | Exception:
    """Tell one request's answer from a defect of ours in it, which is that one's alone."""
    if isinstance(answer, Exception):
        log.error("intake.request_failed", exc_info=answer)
        return answer
    if isinstance(answer, BaseException):
        raise answer
    return answer
