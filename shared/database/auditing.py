"""Take up the audits that were asked for, and write down what they found."""

from typing import Any, LiteralString
from uuid import UUID

from psycopg import Connection
from psycopg.rows import scalar_row
from psycopg.types.json import Json

IS_WANTED: LiteralString = "SELECT EXISTS (SELECT FROM audits WHERE finished_at IS NULL)"

# The one least recently begun first, and of those never begun the oldest: one that a process died of is begun again,
# and one that fails every time keeps no other waiting. Two upkeeps may carry out the same one, which costs time and
# nothing else.
CLAIM: LiteralString = """
UPDATE audits SET started_at = clock_timestamp()
WHERE id = (
    SELECT id FROM audits WHERE finished_at IS NULL ORDER BY started_at NULLS FIRST, id LIMIT 1
)
RETURNING id
"""

FINISH: LiteralString = "UPDATE audits SET finished_at = clock_timestamp(), report = %(report)s WHERE id = %(id)s"


def audit_is_wanted(connection: Connection) -> bool:
    """Say whether an audit was asked for that nobody has finished."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute(IS_WANTED).fetchone())


def claim_audit(connection: Connection) -> UUID | None:
    """Begin the next audit that was asked for, or return None if there is none."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(CLAIM).fetchone()


def finish_audit(connection: Connection, audit_id: UUID, *, report: dict[str, Any]) -> None:
    """Write down what an audit found."""
    connection.execute(FINISH, {"id": audit_id, "report": Json(report)})
