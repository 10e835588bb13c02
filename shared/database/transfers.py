"""Read transfers as their two owners may see them: the payer always, the payee once they succeeded."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    RowMapping,
    Select,
    Text,
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
from shared.domain.owner import OPERATORS_OWNER_ID
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
_TRANSFER_COLUMNS = (
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
)

_COLUMNS = (
    *_TRANSFER_COLUMNS,
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

_WITH_PLACE = _WITH_ENDING.join(_QUEUED, true())

_HEAD_OF_LANE = (
    select(QUEUE.c.position)
    .where(QUEUE.c.lane == LANES.c.lane, QUEUE.c.position >= LANES.c.head_from)
    .order_by(QUEUE.c.position)
    .limit(_ONE)
    .correlate(LANES)
    .scalar_subquery()
)

# Nothing before it is queued, and with one lane nearly everything after it is: it bounds the search for what is.
_OLDEST_QUEUED = select(func.min(_HEAD_OF_LANE)).select_from(LANES).scalar_subquery()

# Nothing after it has ended: it spares a list of what has the reading past what is queued.
_NEWEST_ENDED = select(func.max(LANES.c.newest_position)).scalar_subquery()

_HAS_SUCCEEDED = _ENDED.c.type == TRANSFER_SUCCEEDED

# What failed is found by its events, since nearly everything else did not. The type is written into the statement, or
# a plan made for all of them could not use the index.
_FAILED = EVENTS.alias("failed")
_IS_FAILED = _FAILED.c.type == literal_column(f"'{TRANSFER_FAILED}'", Text)
_WITH_FAILURE = _WITH_ENDING.join(
    _FAILED, and_(_FAILED.c.owner_id == TRANSFERS.c.owner_id, _FAILED.c.position == TRANSFERS.c.position, _IS_FAILED)
)


# The condition of the indexes on wallets, in their words: people have one wallet a currency, and need none.
_OPERATORS = literal_column(f"'{OPERATORS_OWNER_ID}'::uuid", Uuid)
_IS_OPERATORS = or_(TRANSFERS.c.owner_id == _OPERATORS, TRANSFERS.c.destination_owner_id == _OPERATORS)


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
class UnprocessableTransfer:
    """A transfer that ended through a defect of ours, and what went wrong the last time it was tried."""

    transfer: Transfer
    ending: Ending
    defect: str | None


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
        match self.status:
            case Status.QUEUED:  # only a bound: that a transfer is queued, says its place, which list_transfers joins
                conditions.append(TRANSFERS.c.position >= _OLDEST_QUEUED)
            case Status.SUCCEEDED:
                conditions += [_HAS_SUCCEEDED, TRANSFERS.c.position <= _NEWEST_ENDED]
            case Status.FAILED | None:
                pass
        if self.reference is not None:
            conditions.append(TRANSFERS.c.reference == self.reference)
        if self.idempotency_key is not None:
            conditions.append(TRANSFERS.c.idempotency_key == self.idempotency_key)
        return conditions

    def ends(self) -> list[ColumnElement[bool]]:
        """Say at which end the wallet may be, each to be looked for by itself: no index knows both."""
        if self.wallet_id is None:
            return [true()]
        return [TRANSFERS.c.source_wallet_id == self.wallet_id, TRANSFERS.c.destination_wallet_id == self.wallet_id]


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

    Ordered reads of one page each, merged: indexes transfers_owner_id_position_key, and for what came from somebody
    else transfers_destination_owner_id_position_key. A key is found by transfers_owner_id_idempotency_key_key, a
    reference by transfers_reference_position_idx, an operators' wallet by transfers_operators_source_idx and
    transfers_operators_destination_idx, what failed by events_failed_idx, what is queued between the head of the queue
    and the newest, and what succeeded below the newest that has ended (docs/decisions/0015 says what that leaves).

    Args:
        before: The last position of the page before.
    """
    conditions = filters.conditions()
    if before is not None:
        # Twice where it is the failure's index that is read: PostgreSQL carries over what is equal, not what is less.
        conditions.append(TRANSFERS.c.position < before)
        if filters.status is Status.FAILED:
            conditions.append(_FAILED.c.position < before)
    pages = [
        _page(*as_payer_or_payee, end, *conditions, status=filters.status, limit=limit)
        for as_payer_or_payee in _seen_by(viewer_id, filters=filters)
        for end in filters.ends()
    ]
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


async def list_unprocessable(tx: AsyncConnection, *, before: int | None, limit: int) -> list[UnprocessableTransfer]:
    """List what ended through a defect of ours, whoever's it is, newest first. Index: events_unprocessable_idx.

    Args:
        before: The last position of the page before.
    """
    conditions = [EVENTS.c.failure_code == literal_column(f"'{FailureCode.UNPROCESSABLE}'", Text)]
    if before is not None:
        conditions.append(EVENTS.c.position < before)
    statement = (
        select(*_TRANSFER_COLUMNS, EVENTS.c.defect, EVENTS.c.created_at.label("ended_at"))
        .select_from(EVENTS.join(TRANSFERS, TRANSFERS.c.id == EVENTS.c.transfer_id))
        .where(*conditions)
        .order_by(EVENTS.c.position.desc())
        .limit(limit)
    )
    return [_unprocessable(row) for row in (await tx.execute(statement)).mappings()]


def _unprocessable(row: RowMapping) -> UnprocessableTransfer:
    fields = dict(row)
    defect, ended_at = fields.pop("defect"), fields.pop("ended_at")
    ending = Ending(failure_code=FailureCode.UNPROCESSABLE, at=ended_at)
    return UnprocessableTransfer(transfer=Transfer(**fields), ending=ending, defect=defect)


def _seen_by(viewer_id: UUID, *, filters: TransferFilters) -> list[list[ColumnElement[bool]]]:
    """Say what an owner may see, in parts that are each read in order."""
    is_payer, is_payee = TRANSFERS.c.owner_id == viewer_id, TRANSFERS.c.destination_owner_id == viewer_id
    if not filters.concern_payee:
        return [[is_payer]]
    if viewer_id == OPERATORS_OWNER_ID and filters.wallet_id is not None:
        return [[_IS_OPERATORS, or_(is_payer, and_(is_payee, _HAS_SUCCEEDED))]]
    # The condition is the index's own. What owners move between wallets of their own is listed as sent.
    is_others = TRANSFERS.c.owner_id != TRANSFERS.c.destination_owner_id
    return [[is_payer], [is_payee, is_others, _HAS_SUCCEEDED]]


def _page(*conditions: ColumnElement[bool], status: Status | None, limit: int) -> Select[Any]:
    match status:
        case Status.QUEUED:
            source = _WITH_PLACE
        case Status.FAILED:
            source = _WITH_FAILURE
        case Status.SUCCEEDED | None:
            source = _WITH_ENDING
    page = select(*_COLUMNS).select_from(source).where(*conditions)
    return select(*page.order_by(TRANSFERS.c.position.desc()).limit(limit).subquery().c)


def _standing(row: RowMapping) -> StandingTransfer:
    fields = dict(row)
    ended_as, code, ended_at = (fields.pop(name) for name in ("ended_as", "failure_code", "ended_at"))
    ending = Ending(failure_code=FailureCode(code) if code else None, at=ended_at) if ended_as else None
    return StandingTransfer(transfer=Transfer(**fields), ending=ending)
