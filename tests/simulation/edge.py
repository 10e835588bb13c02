"""Run the edge's doors to the queue in steps, without HTTP: two processes of the API, one of which may be slow."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from psycopg import OperationalError

from api.transfers.intake import BATCH_GROUP_MAX, GROUP_MAX, Accept, AcceptAtOnce, Doors, Intake
from api.transfers.room import Room
from shared.database.acceptance import accept
from shared.database.acceptance_at_once import accept_at_once
from shared.database.batch_acceptance import accept_batches
from shared.database.pool import Pool
from shared.domain.acceptance import Accepted, AcceptedBatch, BatchRequest, Refused, TransferRequest
from tests.simulation.interruption import (
    COMMIT,
    InterruptibleAsyncConnection,
    Interruption,
    Moment,
    intake_options,
)

Value = TypeVar("Value")

TransferIntake = Intake[TransferRequest, Accepted]
BatchIntake = Intake[BatchRequest, AcceptedBatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How requests are written down; another way in a broken variant.

    Attributes:
        accept_and_wake: Is told how to wake a lane, and does so itself.
    """

    accept: Accept[TransferRequest, Accepted] = accept
    accept_at_once: AcceptAtOnce[TransferRequest, Accepted] | None = accept_at_once
    accept_and_wake: Callable[..., Any] | None = None

    def waking(self, wake_lane: Callable[[int], None]) -> "Ways":
        """Say the same once it is known how to wake."""
        if self.accept_and_wake is None:
            return self
        return Ways(accept=partial(self.accept_and_wake, wake_lane), accept_at_once=None)


@dataclass(slots=True, kw_only=True)
class Slow:
    """A request whose rows are written and not committed.

    Attributes:
        dies: Its process will, instead of committing.
    """

    answer: asyncio.Future[Accepted | Refused]
    go: asyncio.Event = field(default_factory=asyncio.Event)
    dies: bool = False


class Edge:
    """Two processes of the API on one event loop, which stands still while nobody waits for it."""

    def __init__(self, database_url: str, *, lane_count: int, wake_lane: Callable[[int], None], ways: Ways) -> None:
        """Open the doors."""
        self._runner = asyncio.Runner()
        self._cut: Interruption | None = None
        self._slow_cut: Interruption | None = None
        self._tasks: list[asyncio.Task[None]] = []
        wake = _wake_nobody if ways.accept_and_wake is not None else wake_lane
        ways = ways.waking(wake_lane)
        pools = [self._new_pool(database_url, cut) for cut in (lambda: self._cut, lambda: self._slow_cut)]
        doors, slow_doors = (
            Doors(pool=pool, lane_count=lane_count, is_full=lambda: False, wake_lane=wake) for pool in pools
        )
        self._transfers = TransferIntake(
            doors, room=_room(), accept=ways.accept, accept_at_once=ways.accept_at_once, group_max=GROUP_MAX
        )
        self._batches = BatchIntake(doors, room=_room(), accept=accept_batches, group_max=BATCH_GROUP_MAX)
        # In a transaction, so that there is a moment before its commit.
        self._slow_transfers = TransferIntake(slow_doors, room=_room(), accept=ways.accept, group_max=GROUP_MAX)
        self._pools = pools
        self.run(self._open())

    def submit(
        self, requests: Sequence[TransferRequest], *, interruption: Interruption | None = None
    ) -> list[Accepted | Refused]:
        """Ask for transfers at the same time."""

        async def ask() -> list[Accepted | Refused]:
            return list(await asyncio.gather(*[self._transfers.accept(request) for request in requests]))

        self._cut = interruption
        return self.run(ask())

    def submit_batch(
        self, request: BatchRequest, *, interruption: Interruption | None = None
    ) -> AcceptedBatch | Refused:
        """Ask for a batch."""
        self._cut = interruption
        return self.run(self._batches.accept(request))

    def begin(self, request: TransferRequest) -> Slow:
        """Ask for a transfer at the other process, and leave it just before its commit."""

        async def reach_commit() -> Slow:
            slow = Slow(answer=asyncio.get_running_loop().create_future())
            reached = asyncio.Event()

            async def hold() -> None:
                reached.set()
                await slow.go.wait()
                if slow.dies:
                    raise OperationalError("cut")

            self._slow_cut = Interruption(at=COMMIT, moment=Moment.BEFORE, act=hold)
            asking = asyncio.ensure_future(self._slow_transfers.accept(request))
            asking.add_done_callback(lambda _: reached.set())
            await reached.wait()
            slow.answer = asking
            return slow

        return self.run(reach_commit())

    def finish(self, slow: Slow, *, dies: bool) -> Accepted | Refused:
        """Let it be committed, and answered; or its process die."""

        async def go() -> Accepted | Refused:
            slow.dies = dies
            slow.go.set()
            return await slow.answer

        return self.run(go())

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Let time go on at the edge until this is done."""
        return self._runner.run(work)

    def close(self) -> None:
        """End both processes."""

        async def end() -> None:
            for door in (self._transfers, self._batches, self._slow_transfers):
                door.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for pool in self._pools:
                await pool.close()

        self._runner.run(end())
        self._runner.close()

    async def _open(self) -> None:
        for pool in self._pools:
            await pool.open()
        for door in (self._transfers, self._batches, self._slow_transfers):
            self._tasks.append(asyncio.create_task(door.run()))

    @staticmethod
    def _new_pool(database_url: str, cut: Callable[[], Interruption | None]) -> Pool:
        async def connect() -> InterruptibleAsyncConnection:
            connection = await InterruptibleAsyncConnection.connect(database_url, **intake_options())
            connection.interruption = cut
            return connection

        # What was cut is found out about before the next request is.
        return Pool(connect, size_max=2, trusted_seconds=0)


def _room() -> Room:
    return Room(transfers_max=10_000, bytes_max=10**9)


def _wake_nobody(lane: int) -> None:
    """Do nothing: a variant has woken the lane already."""
