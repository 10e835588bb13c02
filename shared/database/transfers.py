"""Read transfers as their two owners may see them: the payer always, the payee once they succeeded."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    RowMapping,
    Select,
    Uuid,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.batches import BatchRecord, of_batch
from shared.database.tables import EVENTS, LANES, QUEUE, TRANSFERS
from shared.domain.transfer import ACCEPTED_VERSION, ENDED_VERSION, Ending, FailureCode, Status, Transfer
from shared.domain.webhook import TRANSFER_FAILED, TRANSFER_SUCCEEDED

# Written into the statement: as a parameter it would be any number to a plan that was made for all of them.
_ONE = literal_column("1", Integer)

# At most one row, and LIMIT so that the planner takes it for one: looked up by its unique index for each transfer of a
# page. A plain join invites a plan that reads all events for the sake of twenty.
_ENDED = (
    select(EVENTS.c.type, EVENTS.c.failure_code, EVENTS.c.created_at)
    .where(EVENTS.c.transfer_id == TRANSFERS.c.id, EVENTS.c.version == ENDED_VERSION)
    .limit(_ONE)
    .lateral("ended")
)

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
    _ENDED.c.type.label("ended_as"),
    _ENDED.c.failure_code,
    _ENDED.c.created_at.label("ended_at"),
)

_WITH_ENDING = TRANSFERS.outerjoin(_ENDED, true())

# Its place in the queue, whose key begins with the lane.
_QUEUED = (
    select(QUEUE.c.position)
    .select_from(LANES.join(QUEUE, and_(QUEUE.c.lane == LANES.c.lane, QUEUE.c.position == TRANSFERS.c.position)))
    .correlate(TRANSFERS)
    .limit(_ONE)
    .lateral("queued")
)

_HEAD_OF_LANE = (
    select(QUEUE.c.position)
    .where(QUEUE.c.lane == LANES.c.lane)
    .order_by(QUEUE.c.position)
    .limit(_ONE)
    .correlate(LANES)
    .scalar_subquery()
)

# Nothing before it is queued, and with one lane nearly everything after it is: it bounds the search for what is.
_OLDEST_QUEUED = select(func.min(_HEAD_OF_LANE)).select_from(LANES).scalar_subquery()

# Of what is queued only the bound: that a transfer is, says its place, which list_transfers joins.
_IS_STATUS = {
    Status.QUEUED: TRANSFERS.c.position >= _OLDEST_QUEUED,
    Status.SUCCEEDED: _ENDED.c.type == TRANSFER_SUCCEEDED,
    Status.FAILED: _ENDED.c.type == TRANSFER_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingTransfer:
    """A transfer, and how it ended if it has."""

    transfer: Transfer
    ending: Ending | None

    @property
    def version(self) -> int:
        """Number how it stands."""
        return ENDED_VERSION if self.ending else ACCEPTED_VERSION

    def is_visible_to(self, viewer_id: UUID) -> bool:
        """Say whether this owner may see it: the payer always, the payee once it has succeeded."""
        if viewer_id == self.transfer.owner_id:
            return True
        has_succeeded = self.ending is not None and self.ending.status is Status.SUCCEEDED
        return has_succeeded and viewer_id == self.transfer.destination_owner_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFilters:
    """Which transfers to list; None for whichever. A key is its payer's alone, a wallet may be at either end."""

    status: Status | None
    reference: str | None
    idempotency_key: str | None
    wallet_id: UUID | None

    @property
    def concern_payee(self) -> bool:
        """Say whether a payee can see any of them: what has succeeded, and not by a key, which is its payer's."""
        return self.status in {None, Status.SUCCEEDED} and self.idempotency_key is None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Say it in SQL."""
        conditions: list[ColumnElement[bool]] = []
        if self.status is not None:
            conditions.append(_IS_STATUS[self.status])
        if self.reference is not None:
            conditions.append(TRANSFERS.c.reference == self.reference)
        if self.idempotency_key is not None:
            conditions.append(TRANSFERS.c.idempotency_key == self.idempotency_key)
        if self.wallet_id is not None:
            ends = (TRANSFERS.c.source_wallet_id, TRANSFERS.c.destination_wallet_id)
            conditions.append(or_(*(end == self.wallet_id for end in ends)))
        return conditions


async def read_transfers(tx: AsyncConnection, transfer_ids: Collection[UUID]) -> dict[UUID, StandingTransfer]:
    """Find transfers, whoever may see them. Indexes: transfers_pkey, events_transfer_id_version_key."""
    ids = bindparam("ids", list(transfer_ids), ARRAY(Uuid))
    statement = select(*_COLUMNS).select_from(_WITH_ENDING).where(TRANSFERS.c.id == any_(ids))
    return {row["id"]: _standing(row) for row in (await tx.execute(statement)).mappings()}


async def list_transfers(
    tx: AsyncConnection,
    *,
    viewer_id: UUID,
    filters: TransferFilters,
    before: int | None,
    limit: int,
) -> list[StandingTransfer]:
    """List what an owner sent and received, newest first.

    Two ordered reads of one page each, merged: indexes transfers_owner_id_position_key, and for what came from somebody
    else transfers_destination_owner_id_position_key. A key is found by transfers_owner_id_idempotency_key_key, and what
    is queued between the head of the queue and the newest.

    Neither `reference` nor `wallet_id` has an index, nor `succeeded` and `failed`: these read the owner's transfers
    from the newest until the page is full, and all of them where it never is (docs/decisions/0009). The statement's
    timeout bounds that.

    Args:
        before: The last position of the page before.
    """
    conditions = filters.conditions()
    if before is not None:
        conditions.append(TRANSFERS.c.position < before)
    source = _WITH_ENDING.join(_QUEUED, true()) if filters.status is Status.QUEUED else _WITH_ENDING
    pages = [_page(TRANSFERS.c.owner_id == viewer_id, *conditions, source=source, limit=limit)]
    if filters.concern_payee:
        # The second condition is the index's own. What owners move between wallets of their own is listed as sent.
        is_received = (
            TRANSFERS.c.destination_owner_id == viewer_id,
            TRANSFERS.c.owner_id != TRANSFERS.c.destination_owner_id,
        )
        pages.append(_page(*is_received, _IS_STATUS[Status.SUCCEEDED], *conditions, source=source, limit=limit))
    both = union_all(*pages).subquery()
    statement = select(*both.c).order_by(both.c.position.desc()).limit(limit)
    return [_standing(row) for row in (await tx.execute(statement)).mappings()]


async def list_batch_transfers(
    tx: AsyncConnection, batch: BatchRecord, *, after: int | None, limit: int
) -> list[StandingTransfer]:
    """List the transfers of a batch in the order they were sent. Index: transfers_owner_id_position_key.

    Args:
        after: The last position of the page before.
    """
    statement = select(*_COLUMNS).select_from(_WITH_ENDING).where(of_batch(batch))
    if after is not None:
        statement = statement.where(TRANSFERS.c.position > after)
    statement = statement.order_by(TRANSFERS.c.position).limit(limit)
    return [_standing(row) for row in (await tx.execute(statement)).mappings()]


def _page(*conditions: ColumnElement[bool], source: FromClause, limit: int) -> Select[Any]:
    page = select(*_COLUMNS).select_from(source).where(*conditions)
    return select(*page.order_by(TRANSFERS.c.position.desc()).limit(limit).subquery().c)


def _standing(row: RowMapping) -> StandingTransfer:
    fields = dict(row)
    ended_as, code, ended_at = (fields.pop(name) for name in ("ended_as", "failure_code", "ended_at"))
    ending = Ending(failure_code=FailureCode(code) if code else None, at=ended_at) if ended_as else None
    return StandingTransfer(transfer=Transfer(**fields), ending=ending)
