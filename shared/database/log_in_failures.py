"""Count the attempts to log in, where neither a restart nor a second process of the edge forgets them."""

from typing import LiteralString

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.log_in import Failures, Wait, attempt

# Locks the row (login_failures_pkey), made first where there is none: of fifty at once, each sees the one before.
LOCK_FAILURES: LiteralString = """
INSERT INTO login_failures AS known (subject, failures, last_at)
VALUES (:subject, 0, clock_timestamp())
ON CONFLICT (subject) DO UPDATE SET failures = known.failures
RETURNING failures, last_at, locked_until, clock_timestamp() AS at
"""

COUNT_FAILURE: LiteralString = """
UPDATE login_failures SET failures = :failures, last_at = :last_at, locked_until = :locked_until
WHERE subject = :subject
"""

CLEAR_FAILURES: LiteralString = "DELETE FROM login_failures WHERE subject = :subject"

COUNT_MAX = 10_000
"""Beyond it, one more makes no difference, and the column would end."""


async def count_attempt(tx: AsyncConnection, *, subject: bytes) -> Wait | None:
    """Count an attempt as failed, to be committed before the PIN is looked at; or say how long that has to wait."""
    row = (await tx.execute(text(LOCK_FAILURES), {"subject": subject})).one()
    known = Failures(count=row.failures, last_at=row.last_at, locked_until=row.locked_until)
    match attempt(known, at=row.at):
        case Wait() as wait:
            return wait
        case Failures() as counted:
            arguments = {
                "subject": subject,
                "failures": min(counted.count, COUNT_MAX),
                "last_at": counted.last_at,
                "locked_until": counted.locked_until,
            }
            await tx.execute(text(COUNT_FAILURE), arguments)
            return None


async def clear_failures(tx: AsyncConnection, *, subject: bytes) -> None:
    """Forget the failures of somebody who has logged in."""
    await tx.execute(text(CLEAR_FAILURES), {"subject": subject})
