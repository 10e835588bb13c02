"""Connect to PostgreSQL: the one place that knows how long a statement may take and how a dead peer is noticed."""

import os
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import structlog

from shared.database.boundaries import async_connection_class, connection_class
from shared.database.patience import PatientAsyncConnection, PatientConnection

log = structlog.get_logger()

COMMITTED_ON_PRIMARY_ONLY: Final = "01000"
"""The warning of a commit that stopped waiting for its synchronous standby: it stands, but a failover may lose it."""

# A peer that is gone without a word is noticed within ten seconds. Source: faults.md, section 2.2. One that is there
# and says nothing is left to `patience.py`.
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
        by_one_plan: Every statement of the role is planned once, whatever it is given. Where what it is given changes
            little, PostgreSQL would otherwise plan it at each execution (docs/decisions/0042).
    """

    statement_seconds: int
    lock_seconds: int
    idle_in_transaction_seconds: int
    by_index: bool = False
    by_one_plan: bool = False

    @property
    def answer_seconds_max(self) -> float:
        """After this PostgreSQL is taken not to answer any more: it would have ended the statement by itself."""
        return self.statement_seconds + ANSWER_MARGIN_SECONDS


ANSWER_MARGIN_SECONDS: Final = 2.0

API: Final = Timeouts(statement_seconds=5, lock_seconds=2, idle_in_transaction_seconds=5)
INTAKE: Final = Timeouts(
    statement_seconds=5, lock_seconds=2, idle_in_transaction_seconds=5, by_index=True, by_one_plan=True
)
# With the margin less than the 15 s within which all goes on again, whatever became of a connection (F12).
WORKER: Final = Timeouts(statement_seconds=10, lock_seconds=5, idle_in_transaction_seconds=5, by_index=True)
# An audit reads all there is.
AUDIT: Final = Timeouts(statement_seconds=3_600, lock_seconds=5, idle_in_transaction_seconds=60)
MIGRATION: Final = Timeouts(statement_seconds=3_600, lock_seconds=10, idle_in_transaction_seconds=60)

INTAKE_NAME: Final = "hishab-intake"
"""What PostgreSQL knows an edge by: each holds such a connection at all times."""


def connect(database_url: str, *, application_name: str, timeouts: Timeouts) -> PatientConnection:
    """Open a connection for a process of the background; outside a transaction block each statement is one of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    connection = connection_class().connect(database_url, autocommit=True, **options(application_name, timeouts))
    connection.answer_seconds_max = timeouts.answer_seconds_max
    connection.add_notice_handler(_raise_alarm)
    return connection


async def connect_async(
    database_url: str, *, application_name: str, timeouts: Timeouts, autocommit: bool = True
) -> PatientAsyncConnection:
    """Open a connection for the edge.

    Args:
        autocommit: Every statement outside a transaction block is a transaction of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    asked = options(application_name, timeouts)
    connection = await async_connection_class().connect(database_url, autocommit=autocommit, **asked)
    connection.answer_seconds_max = timeouts.answer_seconds_max
    return connection


def _raise_alarm(notice: psycopg.errors.Diagnostic) -> None:
    """Say so when a commit stands that no standby has: nobody waits for an answer here that could be withheld."""
    if notice.sqlstate == COMMITTED_ON_PRIMARY_ONLY:
        log.critical("commit.on_primary_only", warning=notice.message_primary)


def hang_up(connection: psycopg.AsyncConnection) -> None:
    """Shut the socket under a connection, which ends whatever waits on it without sending PostgreSQL a cancel."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


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
        "plan_cache_mode": "force_generic_plan" if timeouts.by_one_plan else "auto",
        **_SERVER_NETWORK,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return {**_NETWORK, "application_name": application_name, "options": options}
