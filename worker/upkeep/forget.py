"""Forget what was kept for thirty days: dead refresh tokens, and log-ins that failed."""

import structlog
from psycopg import Connection

from shared.database.forgetting import forget_some

log = structlog.get_logger()


def forget(connection: Connection) -> int:
    """Remove everything that is old enough, and say how many rows that were.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the next time goes on.
    """
    removed = 0
    while found := forget_some(connection):
        removed += found
    if removed:
        log.info("upkeep.forgot", rows=removed)
    return removed
