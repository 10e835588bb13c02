"""Commit, and say truly what became of it: done, not done, or unknown."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection, errors

from shared.database.connections import COMMITTED_ON_PRIMARY_ONLY, hang_up
from shared.database.pool import NoConnectionError, Pool
from shared.domain.errors import OutcomeUnknown, QueueUnavailable
from shared.telemetry import first_line

log = structlog.get_logger()

Result = TypeVar("Result")

COMMIT_SECONDS_MAX: Final = 10.0
"""Beyond PostgreSQL's own time limits: for a server that is frozen, or cut off without a word."""

# A connection that is lost or refused; a server that is read-only, as after a failover, or that has given up on a
# transaction which kept it waiting (classes 25 and 57).
UNAVAILABLE: Final = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)

CONNECTION_LOST: Final = "08"
SERVER_STOPPED: Final = "57P"

WAITED_FOR_ROW: Final = re.compile(r"\(\d+,\d+\)")
"""A row's place, by which PostgreSQL names the row that a statement waited for, in whatever language it speaks. Whoever
waited for a whole table, as while it is migrated, is told of no row."""


async def commit(pool: Pool, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Run work in one transaction and commit it.

    Never cancel this: psycopg would cancel the statement under way, and a cancelled COMMIT reports success although its
    standby does not have the row. Run it in a task of its own.

    Raises:
        QueueUnavailable: PostgreSQL could not take it. Nothing was written.
        OutcomeUnknown: The connection was lost at the commit.
        psycopg.errors.LockNotAvailable: Another transaction has held a row, or a key, for too long.
        psycopg.errors.DeadlockDetected: Try again.
        psycopg.Error: Any other trouble; nothing was written.
    """
    committing = False

    async def in_transaction(connection: AsyncConnection) -> Result:
        nonlocal committing
        async with connection.transaction():
            result = await work(connection)
            committing = True
        return result

    return await _run(pool, in_transaction, is_unknown=lambda _: committing)


async def commit_at_once(pool: Pool, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Run work that is one statement, which commits by itself. The rest is as for `commit`."""
    return await _run(pool, work, is_unknown=_may_have_committed)


def _may_have_committed(error: psycopg.Error) -> bool:
    """Say whether a statement may have committed by itself: not if PostgreSQL has said what went wrong in it."""
    sqlstate = error.sqlstate or CONNECTION_LOST
    return sqlstate.startswith((CONNECTION_LOST, SERVER_STOPPED))


async def _run(
    pool: Pool,
    work: Callable[[AsyncConnection], Awaitable[Result]],
    *,
    is_unknown: Callable[[psycopg.Error], bool],
) -> Result:
    warnings: list[str | None] = []

    def note(notice: psycopg.errors.Diagnostic) -> None:
        warnings.append(notice.sqlstate)

    try:
        async with pool.connection() as connection:
            connection.add_notice_handler(note)
            deadline = asyncio.get_running_loop().call_later(COMMIT_SECONDS_MAX, hang_up, connection)
            try:
                result = await work(connection)
            finally:
                deadline.cancel()
                connection.remove_notice_handler(note)
    except errors.DeadlockDetected:
        raise
    except errors.LockNotAvailable as error:
        # A row speaks of the requests; whoever asked knows what to do about it. A table speaks of the database.
        if WAITED_FOR_ROW.search(error.diag.context or ""):
            raise
        log.warning("commit.table_is_locked", error=first_line(error))
        raise QueueUnavailable from error
    except NoConnectionError as error:
        log.warning("commit.not_connected", error=str(error))
        raise QueueUnavailable from error
    except UNAVAILABLE as error:
        unknown = is_unknown(error)
        log.warning("commit.failed", unknown=unknown, error=first_line(error))
        raise (OutcomeUnknown if unknown else QueueUnavailable) from error
    if COMMITTED_ON_PRIMARY_ONLY in warnings:
        log.error("commit.on_primary_only")
        raise OutcomeUnknown(on_primary_only=True)
    return result
