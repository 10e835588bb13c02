"""Connect to PostgreSQL: the one place that knows how long a statement may take and how a dead peer is noticed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool

# A peer that is gone without a word is noticed within ten seconds. Source: faults.md, section 2.2.
_NETWORK: Final[Mapping[str, Any]] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long PostgreSQL waits for one role. Source: faults.md, section 2.2."""

    statement_seconds: int
    lock_seconds: int
    idle_in_transaction_seconds: int


API: Final = Timeouts(statement_seconds=5, lock_seconds=2, idle_in_transaction_seconds=5)
WORKER: Final = Timeouts(statement_seconds=15, lock_seconds=5, idle_in_transaction_seconds=5)
# An audit reads all there is.
AUDIT: Final = Timeouts(statement_seconds=3_600, lock_seconds=5, idle_in_transaction_seconds=60)
MIGRATION: Final = Timeouts(statement_seconds=3_600, lock_seconds=10, idle_in_transaction_seconds=60)


def connect(database_url: str, *, application_name: str, timeouts: Timeouts) -> psycopg.Connection:
    """Open a connection for a process of the background; outside a transaction block each statement is one of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    return psycopg.connect(database_url, autocommit=True, **options(application_name, timeouts))


async def connect_async(database_url: str, *, application_name: str, timeouts: Timeouts) -> psycopg.AsyncConnection:
    """Open a connection for the edge, every statement a transaction of its own.

    Raises:
        psycopg.OperationalError: PostgreSQL cannot be reached, or refuses.
    """
    return await psycopg.AsyncConnection.connect(database_url, autocommit=True, **options(application_name, timeouts))


def intake_pool(database_url: str, *, size_max: int) -> AsyncConnectionPool:
    """Make the pool that accepting has to itself, so that no reader can keep a transfer waiting. Opened by its user."""
    return AsyncConnectionPool(
        database_url,
        kwargs=options("hishab-intake", API),
        min_size=1,
        max_size=size_max,
        timeout=API.lock_seconds,
        # Whoever comes first after a restart of PostgreSQL must not find out about it by a 503.
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="intake",
    )


def options(application_name: str, timeouts: Timeouts) -> dict[str, Any]:
    """Say how to connect in one role, in the words of psycopg."""
    settings = {
        "statement_timeout": f"{timeouts.statement_seconds}s",
        "lock_timeout": f"{timeouts.lock_seconds}s",
        "idle_in_transaction_session_timeout": f"{timeouts.idle_in_transaction_seconds}s",
        # A commit that was reported is on disk, whatever the server's default is.
        "synchronous_commit": "on",
        "TimeZone": "UTC",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return {**_NETWORK, "application_name": application_name, "options": options}
