"""Interrupt work with PostgreSQL at a statement that is named: cut the connection, or do something else meanwhile.

A cut before a statement is a crash before it had any effect, a cut after it is one before anybody heard of its effect:
whoever speaks over the connection cannot tell them apart, as they could not over a network.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor, OperationalError

from shared.database import (
    acceptance,
    acceptance_at_once,
    batch_acceptance,
    claims,
    connections,
    deliveries,
    ledger,
    looks,
)
from shared.database.connections import INTAKE, WORKER, Timeouts
from tests.eventually import eventually

COMMIT: Final = "COMMIT"
IDLE_SECONDS_MAX: Final = 120
_SPEAKERS: Final = (acceptance, acceptance_at_once, batch_acceptance, claims, deliveries, ledger, looks)
_IS_CONNECTED = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"


class Moment(StrEnum):
    """On which side of a statement."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(slots=True, kw_only=True)
class Interruption:
    """What happens once, at a statement.

    Attributes:
        at: The name of the statement's constant, or COMMIT.
        nth: At which time of several that it is sent.
        act: What is done meanwhile by somebody else; None for a cut.
        happened: It has.
    """

    at: str
    moment: Moment = Moment.BEFORE
    nth: int = 1
    act: Callable[[], Any] | None = None
    happened: bool = False

    def is_due(self, statement: str, moment: Moment) -> bool:
        """Say whether this is the moment, and note that it has come."""
        if self.happened or moment is not self.moment or name_of(statement) != self.at:
            return False
        self.nth -= 1
        self.happened = self.nth == 0
        return self.happened

    @property
    def has_cut(self) -> bool:
        """Say whether a connection was cut by it."""
        return self.happened and self.act is None

    def __str__(self) -> str:
        """Say it as a step of a simulation."""
        return f"{'something else' if self.act else 'a cut'} {self.moment} {self.at}"


class InterruptibleConnection(Connection[Any]):
    """Speaks to PostgreSQL as any does, up to its interruption."""

    interruption: Interruption | None = None
    backend_pid: int = 0

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Generator[Any]:  # noqa: FBT001, FBT002 (psycopg's)
        """Open a block, and pass both sides of its COMMIT."""
        with super().transaction(savepoint_name, force_rollback) as block:
            yield block
            self.reach(COMMIT, Moment.BEFORE)
        self.reach(COMMIT, Moment.AFTER)

    def reach(self, statement: str, moment: Moment) -> None:
        """Come to one side of a statement."""
        interruption = self.interruption
        if interruption is None or not interruption.is_due(statement, moment):
            return
        if interruption.act is None:
            self.close()
            raise OperationalError("cut")
        interruption.act()


class _Cursor(Cursor[Any]):
    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 (psycopg's)
        connection = self.connection
        assert isinstance(connection, InterruptibleConnection)
        connection.reach(query, Moment.BEFORE)
        super().execute(query, params, **options)
        connection.reach(query, Moment.AFTER)
        return self


class InterruptibleAsyncConnection(AsyncConnection[Any]):
    """The same for the edge; what is done meanwhile may be waited for."""

    interruption: Callable[[], Interruption | None] = staticmethod(lambda: None)

    @asynccontextmanager
    async def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> AsyncGenerator[Any]:  # noqa: FBT001, FBT002 (psycopg's)
        """Open a block, and pass both sides of its COMMIT."""
        async with super().transaction(savepoint_name, force_rollback) as block:
            yield block
            await self.reach(COMMIT, Moment.BEFORE)
        await self.reach(COMMIT, Moment.AFTER)

    async def reach(self, statement: str, moment: Moment) -> None:
        """Come to one side of a statement."""
        interruption = self.interruption()
        if interruption is None or not interruption.is_due(statement, moment):
            return
        if interruption.act is None:
            await self.close()
            raise OperationalError("cut")
        await interruption.act()


class InterruptibleAsyncCursor(AsyncCursor[Any]):
    """Sends the statements of such a connection."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 (psycopg's)
        """Send a statement, and pass both of its sides."""
        connection = self.connection
        assert isinstance(connection, InterruptibleAsyncConnection)
        await connection.reach(query, Moment.BEFORE)
        await super().execute(query, params, **options)
        await connection.reach(query, Moment.AFTER)
        return self


def worker_connection(database_url: str) -> InterruptibleConnection:
    """Connect as `shared.database.connections.connect` does for a worker, who may take longer."""
    connection = InterruptibleConnection.connect(
        database_url, autocommit=True, cursor_factory=_Cursor, **connections.options("simulation", _at_leisure(WORKER))
    )
    # Once it is cut, it no longer knows.
    connection.backend_pid = connection.info.backend_pid
    return connection


def intake_options() -> dict[str, Any]:
    """Say how to connect as `shared.database.pool.intake_pool` does, for one who may take longer."""
    return {
        "autocommit": True,
        "cursor_factory": InterruptibleAsyncCursor,
        **connections.options("simulation", _at_leisure(INTAKE)),
    }


def _at_leisure(timeouts: Timeouts) -> Timeouts:
    """Let a transaction stay open while others take their steps, however long those take here."""
    return replace(timeouts, idle_in_transaction_seconds=IDLE_SECONDS_MAX)


def await_its_end(watcher: Connection, backend_pid: int) -> None:
    """Wait until PostgreSQL has noticed that a connection is gone, and has undone what was under way on it."""
    eventually(lambda: watcher.execute(_IS_CONNECTED, (backend_pid,)).fetchone() == (False,))


def name_of(statement: str) -> str:
    """Name the constant that a statement is. Looked up each time: a broken variant has other statements."""
    if statement == COMMIT:
        return COMMIT
    for module in _SPEAKERS:
        for name, value in vars(module).items():
            if name.isupper() and value is statement:
                return name
    return ""
