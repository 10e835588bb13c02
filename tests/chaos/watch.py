"""Watch a running system: the sums of its money, how far it has come, and what it holds of the machine."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from shared import clock
from tests.chaos.world import World
from tests.load.audit import wrong_sums
from tests.load.system import memory_mb
from tests.running_system import descendants

LOOK_SECONDS = 0.5

READ_PROGRESS = """
SELECT (SELECT count(*) FROM queue), (SELECT sum(event_number)::bigint FROM lanes WHERE lane > 0),
       (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hishab-%%')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How it stood at a moment; nothing of PostgreSQL while that is away."""

    at_seconds: float
    queued: int | None = None
    ended: int | None = None
    connections: int | None = None
    memory_mb: Mapping[str, float] = field(default_factory=dict[str, float])


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


@contextmanager
def watched(world: World) -> Generator[Watched]:
    """Watch until the block is left."""
    seen, stopping = Watched(), threading.Event()

    def watch() -> None:
        while not stopping.is_set():
            with suppress(psycopg.Error), world.database() as connection:
                while not stopping.wait(LOOK_SECONDS):
                    _look(world, connection, seen)
            seen.looks.append(Look(at_seconds=clock.monotonic_seconds(), memory_mb=memory_by_part(world)))
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
            memory_mb=memory_by_part(world),
        )
    )


def memory_by_part(world: World) -> Mapping[str, float]:
    """Say what each part holds, with what it has started; one that is just restarted holds nothing."""
    found: dict[str, float] = {}
    for part, pid in _parts(world).items():
        with suppress(OSError):
            found[part] = sum(memory_mb(process) for process in {pid, *descendants(pid)} if _is_there(process))
    return found


def _parts(world: World) -> Mapping[str, int]:
    """Name the parts; a system that has ended has none."""
    try:
        return world.system.parts
    except FileNotFoundError:
        return {}


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}/status").exists()
