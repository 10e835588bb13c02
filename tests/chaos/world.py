"""Hold what a fault can get at: the running system, its PostgreSQL and its broker, and the relays before them."""

import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import redis

from tests.chaos.clocks import Clocks
from tests.chaos.crowd import Crowd
from tests.chaos.server import Server
from tests.running_system import System, descendants

ADMIN_SECONDS_MAX = 5
DATABASE = "hishab"


class Relay(Protocol):
    """Passes on what goes between the system and one of its servers, unless a fault wants otherwise."""

    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A system under load.

    Attributes:
        postgres: Run by the harness, so that it can be killed and started as often as a fault likes.
        broker: The same.
        postgres_relay: Between the system and PostgreSQL, if a fault of the run needs it.
        broker_relay: Between the system and the broker.
        small_disk: Where the data of PostgreSQL are, if a fault needs that to be small.
        clocks: Those of the parts, if a fault needs to set them.
        crowd: Its clients.
        place: A directory for whatever a fault leaves behind; gone with the run.
        stopping: Set when the run is over: a fault mends what it broke, and returns.
        sometimes: Counts what was seen to happen, by name; for the report.
    """

    system: System
    postgres: Server
    broker: Server
    crowd: Crowd
    postgres_relay: Relay | None = None
    broker_relay: Relay | None = None
    small_disk: Path | None = None
    clocks: Clocks | None = None
    place: Path
    stopping: threading.Event = field(default_factory=threading.Event)
    sometimes: Counter[str] = field(default_factory=Counter[str])
    _parts_held: Mapping[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def pause(self, seconds: float) -> bool:
        """Let time pass; say whether the run goes on."""
        return not self.stopping.wait(seconds)

    @property
    def database_url(self) -> str:
        """Where the database of the system is reached, past any relay."""
        return self.postgres.url.removesuffix("/postgres") + f"/{DATABASE}"

    @contextmanager
    def holding(self, part: str) -> Generator[None]:
        """Keep other faults off a part: its process, or `postgres` or `broker`."""
        with self._parts_held[part]:
            yield

    def kill(self, part: str, *, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill a part once it has lived for a while, and wait until another process has taken its place.

        Give the process id of the new one.
        """
        with self.holding(part):
            killed = self.system.kill(part, number=number)
            return self.system.await_restart(part, of=killed)

    def children(self, part: str) -> set[int]:
        """Name the processes that a part has started."""
        return descendants(self.system.parts[part])

    @contextmanager
    def database(self) -> Generator[psycopg.Connection]:
        """Connect to PostgreSQL as its superuser, past any relay; every statement is a transaction of its own.

        Raises:
            psycopg.OperationalError: It is away.
        """
        with psycopg.connect(
            self.database_url, autocommit=True, connect_timeout=ADMIN_SECONDS_MAX, application_name="chaos"
        ) as connection:
            yield connection

    @contextmanager
    def broker_client(self) -> Generator[Any]:
        """Connect to the broker, past any relay.

        Raises:
            redis.RedisError: By what is asked of it, when it is away.
        """
        client: Any = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType] (its arguments have no types)
            self.broker.url, socket_timeout=ADMIN_SECONDS_MAX, decode_responses=True
        )
        try:
            yield client
        finally:
            client.close()
