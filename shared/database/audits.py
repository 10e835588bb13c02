"""Ask for audits, and read what they found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import AUDITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit; `report` is there once it is finished: `holds`, `summed` and `violations`."""

    id: UUID
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    report: dict[str, Any] | None


async def request_audit(tx: AsyncConnection, audit_id: UUID) -> Audit:
    """Ask that the ledger be audited."""
    statement = insert(AUDITS).values(id=audit_id, requested_at=func.statement_timestamp()).returning(*AUDITS.c)
    return Audit(**(await tx.execute(statement)).mappings().one())


async def read_audit(tx: AsyncConnection, audit_id: UUID) -> Audit | None:
    """Read how an audit stands, or None if there is no such audit."""
    row = (await tx.execute(select(*AUDITS.c).where(AUDITS.c.id == audit_id))).mappings().one_or_none()
    return None if row is None else Audit(**row)
