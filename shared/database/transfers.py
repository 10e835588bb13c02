"""Read transfers as their two owners may see them: the payer always, the payee once they succeeded."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Select, and_, null, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import EVENTS, TRANSFERS
from shared.domain.transfer import ENDED_VERSION, Ending, FailureCode, Status, Transfer
from shared.domain.webhook import TRANSFER_FAILED, TRANSFER_SUCCEEDED

# Names of columns are those of the domain's Transfer.
_COLUMNS = (
    TRANSFERS.c.id,
    TRANSFERS.c.owner_id,
    TRANSFERS.c.destination_owner_id,
    TRANSFERS.c.source_wallet_id,
    TRANSFERS.c.destination_wallet_id,
    TRANSFERS.c.amount.label("amount_minor"),
    TRANSFERS.c.currency,
    TRANSFERS.c.reference,
    TRANSFERS.c.note,
    TRANSFERS.c.metadata,
    TRANSFERS.c.position,
    TRANSFERS.c.created_at,
    EVENTS.c.type.label("ended_as"),
    EVENTS.c.failure_code,
    EVENTS.c.created_at.label("ended_at"),
)

_WITH_ENDING = TRANSFERS.outerjoin(
    EVENTS, and_(EVENTS.c.transfer_id == TRANSFERS.c.id, EVENTS.c.version == ENDED_VERSION)
)

_IS_STATUS = {
    Status.QUEUED: EVENTS.c.type.is_(null()),
    Status.SUCCEEDED: EVENTS.c.type == TRANSFER_SUCCEEDED,
    Status.FAILED: EVENTS.c.type == TRANSFER_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTransfer:
    """A transfer, and how it ended if it has."""

    transfer: Transfer
    ending: Ending | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFilters:
    """Which transfers to list; None for whichever. A key is its payer's alone, a wallet may be at either end."""

    status: Status | None
    reference: str | None
    idempotency_key: str | None
    wallet_id: UUID | None

    def conditions(self, viewer_id: UUID) -> list[ColumnElement[bool]]:
        """Say it in SQL."""
        conditions: list[ColumnElement[bool]] = []
        if self.status is not None:
            conditions.append(_IS_STATUS[self.status])
        if self.reference is not None:
            conditions.append(TRANSFERS.c.reference == self.reference)
        if self.idempotency_key is not None:
            conditions += [TRANSFERS.c.owner_id == viewer_id, TRANSFERS.c.idempotency_key == self.idempotency_key]
        if self.wallet_id is not None:
            ends = (TRANSFERS.c.source_wallet_id, TRANSFERS.c.destination_wallet_id)
            conditions.append(or_(*(end == self.wallet_id for end in ends)))
        return conditions


async def read_transfer(tx: AsyncConnection, transfer_id: UUID, *, viewer_id: UUID) -> StandingTransfer | None:
    """Find a transfer, if this owner may see it."""
    is_payee = and_(TRANSFERS.c.destination_owner_id == viewer_id, _IS_STATUS[Status.SUCCEEDED])
    statement = (
        select(*_COLUMNS)
        .select_from(_WITH_ENDING)
        .where(TRANSFERS.c.id == transfer_id, (TRANSFERS.c.owner_id == viewer_id) | is_payee)
    )
    row = (await tx.execute(statement)).mappings().one_or_none()
    return None if row is None else _standing(row)


async def list_transfers(
    tx: AsyncConnection,
    *,
    viewer_id: UUID,
    filters: TransferFilters,
    before: int | None,
    limit: int,
) -> list[StandingTransfer]:
    """List what an owner sent and received, newest first.

    Two ordered reads of one page each, merged: indexes transfers_owner_id_position_key and
    transfers_destination_owner_id_position_key (and transfers_owner_id_idempotency_key_key for a key).

    Args:
        before: The last position of the page before.
    """
    conditions = filters.conditions(viewer_id)
    if before is not None:
        conditions.append(TRANSFERS.c.position < before)
    sent = _page(TRANSFERS.c.owner_id == viewer_id, *conditions, limit=limit)
    received = _page(
        TRANSFERS.c.destination_owner_id == viewer_id,
        TRANSFERS.c.owner_id != viewer_id,
        _IS_STATUS[Status.SUCCEEDED],
        *conditions,
        limit=limit,
    )
    both = union_all(sent, received).subquery()
    statement = select(*both.c).order_by(both.c.position.desc()).limit(limit)
    return [_standing(row) for row in (await tx.execute(statement)).mappings()]


def _page(*conditions: ColumnElement[bool], limit: int) -> Select[Any]:
    page = select(*_COLUMNS).select_from(_WITH_ENDING).where(*conditions)
    return select(*page.order_by(TRANSFERS.c.position.desc()).limit(limit).subquery().c)


def _standing(row: RowMapping) -> StandingTransfer:
    fields = dict(row)
    ended_as, code, ended_at = (fields.pop(name) for name in ("ended_as", "failure_code", "ended_at"))
    ending = Ending(failure_code=FailureCode(code) if code else None, at=ended_at) if ended_as else None
    return StandingTransfer(transfer=Transfer(**fields), ending=ending)
