"""Forget what was kept for a while: dead refresh tokens, log-ins that failed, webhooks that were sent or given up."""

from datetime import timedelta
from uuid import UUID

import structlog
from psycopg import Connection

from shared import clock
from shared.database.forgetting import forget_some
from shared.database.old_deliveries import forget_deliveries, forget_recoveries
from shared.domain.attempt import KEPT_DAYS
from shared.identifiers import first_id

log = structlog.get_logger()


def forget(connection: Connection) -> int:
    """Remove everything that is old enough, and say how many rows that were; attempts go with their delivery.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the next time goes on.
    """
    removed = 0
    while found := forget_some(connection):
        removed += found
    removed += _forget_webhooks(connection, before=first_id(clock.now() - timedelta(days=KEPT_DAYS)))
    if removed:
        log.info("upkeep.forgot", rows=removed)
    return removed


def _forget_webhooks(connection: Connection, *, before: UUID) -> int:
    removed, after = 0, UUID(int=0)
    while after is not None:
        found, after = forget_deliveries(connection, after=after, before=before)
        removed += found
    while found := forget_recoveries(connection, before=before):
        removed += found
    return removed
