"""Ask that an endpoint be sent what it was not delivered; `recovering.py` carries it out."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# At most one at a time an endpoint. Index: webhook_recoveries_endpoint_id_key, which holds that. What happens later
# than now is owed anyway.
INSERT_RECOVERY: LiteralString = """
INSERT INTO webhook_recoveries (id, endpoint_id, since, until, requested_at)
VALUES (:id, :endpoint_id, :since, least(CAST(:until AS timestamptz), statement_timestamp()), statement_timestamp())
ON CONFLICT (endpoint_id) WHERE finished_at IS NULL DO NOTHING
RETURNING id, endpoint_id, since, until, requested_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is to be owed again: the events of a window of time, as far as they were not delivered."""

    id: UUID
    endpoint_id: UUID
    since: datetime
    until: datetime
    requested_at: datetime


async def request_recovery(
    tx: AsyncConnection, recovery_id: UUID, *, endpoint_id: UUID, since: datetime, until: datetime | None
) -> Recovery | None:
    """Ask for a recovery, or return None if one of this endpoint is under way.

    Args:
        until: None for now.
    """
    arguments = {"id": recovery_id, "endpoint_id": endpoint_id, "since": since, "until": until}
    row = (await tx.execute(text(INSERT_RECOVERY), arguments)).mappings().one_or_none()
    return None if row is None else Recovery(**row)
