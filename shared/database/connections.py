"""Connect to PostgreSQL: the one place that knows how long a statement may take and how a dead peer is noticed."""

import asyncio
import os
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from shared import clock
from shared.database.boundaries import async_connection_class, connection_class

log = structlog.get_logger()

COMMITTED_ON_PRIMARY_ONLY: Final = "01000"
"""The warning of a commit that stopped waiting for its synchronous standby: it stands, but a failover may lose it."""

# A peer that is gone without a word is noticed within ten seconds. Source: faults.md, section 2.2.
_NETWORK: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

# The same on PostgreSQL's side: what a client that is gone has locked is free again soon. A statement is ended two
# seconds after its client died, and not once it is through: an audit may take an hour.
_SERVER_NETWORK: Final[Mapping[str, str]] = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    "client_connection_check_interval": "2s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long PostgreSQL waits for one role. Source: faults.md, section 2.2.

    There is none for a whole transaction, which PostgreSQL 15 has no setting for: a lane's is a dozen statements,
    and ends with its task's time limit (`shared/queue.py`).

    Attributes:
        by_index: Every statement of the role goes by an index. While tables are new and the planner knows nothing of
            them, it would otherwise read them whole, and keep to that (14 to 27 ms for a look at the queue; measured
            on PostgreSQL 15 with 200,000 dead rows in it).
    """

    statement_seconds: int
    lock_seconds: int
    idle_in_transaction_seconds: int
    by_index: bool = False


API: Final = Timeouts(statement_seconds=5, lock_seconds=2, idle_in_transaction_seconds=5)
INTAKE: Final = Timeouts(statement_seconds=5, lock_seconds=2, idle_in_transaction_seconds=5, by_index=True)
WORKER: Final = Timeouts(statement_seconds=15, lock_seconds=5, idle_in_transaction_seconds=5, by_index=True)
# An audit reads all there is.
AUDIT: Final = Timeouts(statement_seconds=3_600, lock_seconds=5, idle_in_transaction_seconds=60)
MIGRATION: Final = Timeouts(statement_seconds=3_600, lock_seconds=10, idle_in_transaction_seconds=60)

INTAKE_NAME: Final = "hishab-intake"
"""What PostgreSQL knows an edge by: each holds such a connection at all times."""

POOL_SECONDS_MAX: Final = 5.0
"""How long a write waits for a connection: long enough to find one dead (1 s), pause (1 s), and make another."""

TRUSTED_SECONDS: Final = 0.25
"""Shorter than it takes a server that froze to be missed."""

CHECK_SECONDS_MAX: Final = 1.0
"""Within which a connection that is taken out of a pool has to answer."""


def connect(database_url: str, *, application_name: str, timeouts: Timeouts) -> psycopg.Connection:
    """Open a connection for a process of the background; outside a transaction block each statement is one of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    connection = connection_class().connect(database_url, autocommit=True, **options(application_name, timeouts))
    connection.add_notice_handler(_raise_alarm)
    return connection


async def connect_async(database_url: str, *, application_name: str, timeouts: Timeouts) -> psycopg.AsyncConnection:
    """Open a connection for the edge, every statement a transaction of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    return await async_connection_class().connect(database_url, autocommit=True, **options(application_name, timeouts))


def intake_pool(database_url: str, *, size_max: int, trusted_seconds: float = TRUSTED_SECONDS) -> AsyncConnectionPool:
    """Make the pool that accepting has to itself, so that no reader can keep a transfer waiting. Opened by its user.

    Every statement outside a transaction block is a transaction of its own.

    Args:
        trusted_seconds: How long a connection that answered is not asked again whether it lives.
    """
    return AsyncConnectionPool(
        database_url,
        connection_class=async_connection_class(),
        kwargs={"autocommit": True, **options(INTAKE_NAME, INTAKE)},
        min_size=1,
        max_size=size_max,
        timeout=POOL_SECONDS_MAX,
        # Whoever comes first after a restart of PostgreSQL must not find out about it by a 503.
        check=_Check(trusted_seconds),
        open=False,
        name="intake",
    )


def _raise_alarm(notice: psycopg.errors.Diagnostic) -> None:
    """Say so when a commit stands that no standby has: nobody waits for an answer here that could be withheld."""
    if notice.sqlstate == COMMITTED_ON_PRIMARY_ONLY:
        log.critical("commit.on_primary_only", warning=notice.message_primary)


def hang_up(connection: psycopg.AsyncConnection) -> None:
    """Shut the socket under a connection, which ends whatever waits on it without sending PostgreSQL a cancel."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


class _Check:
    """See whether a connection still answers; one whose server is frozen does not, and says nothing either.

    One that answered a moment ago and has not hung up since, as a server that stops does, is taken at its word: under
    load that saves every write a round trip.
    """

    def __init__(self, trusted_seconds: float) -> None:
        self._trusted_seconds = trusted_seconds
        self._checked: WeakKeyDictionary[psycopg.AsyncConnection, float] = WeakKeyDictionary()

    async def __call__(self, connection: psycopg.AsyncConnection) -> None:
        now_seconds = clock.monotonic_seconds()
        if now_seconds - self._checked.get(connection, -inf) < self._trusted_seconds and not has_hung_up(connection):
            return
        deadline = asyncio.get_running_loop().call_later(CHECK_SECONDS_MAX, hang_up, connection)
        try:
            await AsyncConnectionPool.check_connection(connection)
        finally:
            deadline.cancel()
        self._checked[connection] = now_seconds


def has_hung_up(connection: psycopg.AsyncConnection) -> bool:
    """Say whether the server has hung up on a connection that nobody uses, or has said anything else unasked."""
    # Not select(): it takes no descriptor above 1,023, and a thousand who wait have that many.
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))


def options(application_name: str, timeouts: Timeouts) -> dict[str, Any]:
    """Say how to connect in one role, in the words of psycopg."""
    settings = {
        "statement_timeout": f"{timeouts.statement_seconds}s",
        "lock_timeout": f"{timeouts.lock_seconds}s",
        "idle_in_transaction_session_timeout": f"{timeouts.idle_in_transaction_seconds}s",
        # A commit that was reported is on disk, whatever the server's default is.
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        # Compiling takes longer than it saves: the first time that 500 requests were resolved took 103 ms with it and
        # 16 without (PostgreSQL 15, 200,000 wallets, 500,000 transfers).
        "jit": "off",
        "enable_seqscan": "off" if timeouts.by_index else "on",
        # Nor put into order what an index has in order: of a lane's queue only the head is wanted.
        "enable_bitmapscan": "off" if timeouts.by_index else "on",
        **_SERVER_NETWORK,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return {**_NETWORK, "application_name": application_name, "options": options}
