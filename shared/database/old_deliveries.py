"""Remove deliveries that ended long ago, with their attempts, and recoveries that did."""

from typing import Final, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import tuple_row

from shared.domain.attempt import KEPT_DAYS

ROWS_MAX: Final = 500
"""Deliveries a statement: none holds its locks for long, and most have an attempt or two."""

# Their ids are in the order in which they were made, so that the oldest need no index of their own, for which every
# delivery would pay. One that was revived, or waits, is looked at and stays.
# Indexes: webhook_deliveries_pkey, webhook_attempts_pkey.
FORGET_DELIVERIES: LiteralString = """
WITH page AS (
    SELECT id FROM webhook_deliveries WHERE id > %(after)s AND id < %(before)s ORDER BY id LIMIT %(rows)s
), gone AS (
    DELETE FROM webhook_deliveries
    WHERE id = ANY(ARRAY(SELECT id FROM page))
      AND finished_at < statement_timestamp() - make_interval(days => %(days)s)
    RETURNING id
), attempts AS (
    DELETE FROM webhook_attempts WHERE delivery_id = ANY(ARRAY(SELECT id FROM gone))
)
SELECT (SELECT count(*) FROM gone), (SELECT id FROM page ORDER BY id DESC LIMIT 1)
"""

# Index: webhook_recoveries_pkey.
FORGET_RECOVERIES: LiteralString = """
DELETE FROM webhook_recoveries WHERE id = ANY(ARRAY(
    SELECT id FROM webhook_recoveries
    WHERE id < %(before)s AND finished_at < statement_timestamp() - make_interval(days => %(days)s)
    ORDER BY id LIMIT %(rows)s
))
"""


def forget_deliveries(connection: Connection, *, after: UUID, before: UUID) -> tuple[int, UUID | None]:
    """Look at a page of deliveries in the order in which they were made, and remove those that ended long ago.

    Args:
        after: The last id of the page before.
        before: What is as old as this may have ended long ago; younger ones are not looked at.

    Returns:
        How many were removed, and the last id of the page; None if nothing is left.
    """
    parameters = {"after": after, "before": before, "rows": ROWS_MAX, "days": KEPT_DAYS}
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(FORGET_DELIVERIES, parameters).fetchone()
    assert row is not None, "there is always a count"
    return row


def forget_recoveries(connection: Connection, *, before: UUID) -> int:
    """Remove some of the recoveries that ended long ago, and say how many that were."""
    parameters = {"before": before, "rows": ROWS_MAX, "days": KEPT_DAYS}
    return connection.execute(FORGET_RECOVERIES, parameters).rowcount
