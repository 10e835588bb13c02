"""Watch a running system: the sums of its money, how far it has come, and what it holds of the machine."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from shared import clock
from tests.chaos.memory import Process, held_now
from tests.chaos.world import World
from tests.load.audit import wrong_sums

LOOK_SECONDS = 0.5

# The queue from where its dead rows end: while a snapshot is held there are millions of them, and reading them twice a
# second would slow down what is measured. In order of position, so that it is read by its index.
READ_PROGRESS = """
SELECT (SELECT count(*) FROM lanes CROSS JOIN LATERAL (
            SELECT FROM queue WHERE queue.lane = lanes.lane AND position >= head_from ORDER BY position
        ) AS waiting),
       (SELECT sum(event_number)::bigint FROM lanes WHERE lane > 0),
       (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hishab-%%')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How it stood at a moment; nothing of PostgreSQL while that is away."""

    at_seconds: float
    queued: int | None = None
    ended: int | None = None
    connections: int | None = None
    memory_mb: Mapping[Process, float] = field(default_factory=dict[Process, float])


@dataclass(slots=True, kw_only=True)
class Watched:
    """What was seen.

    Attributes:
        wrong_sums: Where money did not sum to zero, or a wallet was below its floor, at the end of any transaction.
        sums: How often that was looked at.
    """

    looks: list[Look] = field(default_factory=list[Look])
    wrong_sums: list[str] = field(default_factory=list[str])
    sums: int = 0

    @property
    def held(self) -> list[tuple[float, Mapping[Process, float]]]:
        """What every process held, and when."""
        return [(look.at_seconds, look.memory_mb) for look in self.looks]


@contextmanager
def watched(world: World) -> Generator[Watched]:
    """Watch until the block is left."""
    seen, stopping = Watched(), threading.Event()

    def watch() -> None:
        while not stopping.is_set():
            with suppress(psycopg.Error), world.database() as connection:
                while not stopping.wait(LOOK_SECONDS):
                    _look(world, connection, seen)
            seen.looks.append(Look(at_seconds=clock.monotonic_seconds(), memory_mb=held_now(world)))
            stopping.wait(LOOK_SECONDS)

    thread = threading.Thread(target=watch, name="watch")
    thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        thread.join()


def _look(world: World, connection: psycopg.Connection, seen: Watched) -> None:
    queued, ended, connections = connection.execute(READ_PROGRESS).fetchone() or (None, None, None)
    seen.wrong_sums += wrong_sums(connection)
    seen.sums += 1
    seen.looks.append(
        Look(
            at_seconds=clock.monotonic_seconds(),
            queued=queued,
            ended=ended,
            connections=connections,
            memory_mb=held_now(world),
        )
    )
