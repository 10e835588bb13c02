"""Run a whole Hishab in steps that somebody else chooses, on a real PostgreSQL, and complain of whatever is wrong.

What runs is the real thing: the doors of the edge, lanes, sweeps, claims and records of webhooks. What is simulated is
who comes when, what is cut, and the messages of the broker, which are a list. Our clock tells the edge the time in its
ids and the webhook worker that of an attempt, and here both are told `now`, which may step; all else is PostgreSQL's.
PostgreSQL's clock cannot be stepped: what it wrote down is made older (time passes) or newer (it was set back) instead.
"""

from collections.abc import Sequence
from uuid import UUID

from shared.database.engine import reading_engine
from shared.domain.acceptance import TransferRequest
from tests.load.checker import Faults
from tests.simulation import looking
from tests.simulation.callers import Callers
from tests.simulation.comparison import catch_up, checked, differences
from tests.simulation.edge import Ways
from tests.simulation.interruption import Interruption
from tests.simulation.model import Complaint, Invariant, Looked
from tests.simulation.workers import Workers
from tests.simulation.world import WALLETS, new_world

HELD_AT_FIRST = 40
ROUNDS_MAX = 20
IS_OWED = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"


class Simulation:
    """A Hishab: two processes of the API, two lane workers, upkeep, one who delivers; and what they should do."""

    def __init__(self, database_url: str, *, ways: Ways | None = None) -> None:
        """Open wallets and fund them, in a database that is empty."""
        self.world = new_world(database_url)
        self.workers = Workers(self.world)
        self._is_eager = False
        self.callers = Callers(self.world, ways=ways or Ways(), wake_lane=self._wake)
        self._engine = reading_engine(database_url, pool_size=1)
        issuance = self.world.books.issuance_id
        self.callers.submit(
            [self.callers.request(issuance, wallet, HELD_AT_FIRST, key=f"fund {wallet}") for wallet in WALLETS]
        )
        self.workers.work()
        self.world.wake_ups.clear()

    def submit(
        self, requests: Sequence[TransferRequest], *, interruption: Interruption | None = None, is_eager: bool = False
    ) -> None:
        """Ask for transfers at the same time.

        Args:
            is_eager: A worker takes each wake-up in the moment in which it is sent.
        """
        self._is_eager = is_eager
        self.callers.submit(requests, interruption=interruption)
        self._is_eager = False

    def take_wake_up(self, number: int) -> int | None:
        """Take one of the messages, in whatever order."""
        wake_ups = self.world.wake_ups
        return wake_ups.pop(number % len(wake_ups)) if wake_ups else None

    def lose_wake_ups(self) -> None:
        """Empty the broker."""
        self.world.are_lost = self.world.are_lost or bool(self.world.wake_ups)
        self.world.wake_ups.clear()

    def look(self, viewer_id: UUID, looked: Looked, *, page: int) -> None:
        """Read a list, page by page, and an owner's feed."""
        self._catch_up()
        work = looking.differences(self._engine, self.world.model, viewer_id, looked, page=page)
        self.world.complaints += self.callers.edge.run(work)

    def check(self) -> list[Complaint]:
        """Say what does not hold."""
        world = self.world
        self._catch_up()
        for known in world.model.accepted.values():
            known.is_meanwhile = False
        world.complaints += differences(world.books.connection, world.model, self.workers.received)
        if not world.model.queue():
            world.are_lost = False
        elif not world.wake_ups and not world.are_lost:
            world.complain(Invariant.WAKE_UPS, f"{len(world.model.queue())} wait, and no wake-up is on its way")
        return world.complaints

    def rest(self, *, sweeps: bool = True) -> tuple[list[Complaint], Faults]:
        """Let all faults end and everything come to its end; then ask the checker of loads as well."""
        self.callers.finish()
        for _ in range(ROUNDS_MAX):
            self.workers.let_time_pass()
            while (lane := self.take_wake_up(0)) is not None:
                self.workers.work(lane=lane)
            if sweeps:
                self.workers.sweep()
            self.workers.deliver()
            if not self.world.books.value(IS_OWED):
                break
        self.check()
        if waiting := self.world.model.queue():
            self.world.complain(Invariant.NO_LOSS, f"{len(waiting)} never end")
        if owed := self.world.books.value(IS_OWED):
            self.world.complain(Invariant.WEBHOOKS, f"{owed} are never delivered")
        return self.world.complaints, checked(self.world.books.connection, self.world.model, self.world.sent)

    def close(self) -> None:
        """Let go of everything."""
        self.callers.finish(dies=True)
        self.callers.edge.run(self._engine.dispose())
        self.callers.edge.close()
        self.workers.close()
        self.world.books.connection.close()

    def _wake(self, lane: int) -> None:
        if self._is_eager:
            self.workers.work("eager", lane=lane)
        else:
            self.world.wake_ups.append(lane)

    def _catch_up(self) -> None:
        self.world.complaints += catch_up(self.world.books.connection, self.world.model)
