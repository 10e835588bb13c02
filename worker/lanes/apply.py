"""Apply what waits in a lane: take it, read its head, decide, write, commit; and go on until it is empty."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection

from shared import clock
from shared.database import deliveries, ledger, looks
from shared.domain import webhook
from shared.domain.apply import Applied, Outcome, QueuedTransfer, WalletState, apply
from shared.domain.histogram import ENDING_BOUNDS_SECONDS, Histogram
from shared.domain.transfer import ENDED_VERSION, Ending, FailureCode
from shared.identifiers import event_name, new_id

log = structlog.get_logger()

BATCH_MAX: Final = 2_000
"""Transfers per commit: a quarter more than 1,000 gave, with locks held for 0.1 s. Source: decision 23."""

DRAIN_SECONDS_MAX: Final = 2.0
"""After this the lane is woken again instead, so that no task comes near its time limit."""

LINGER_SECONDS: Final = 0.02
"""How long an empty lane is watched before it is left: the next transfer then needs no wake-up. Source: speed.md."""

LINGER_LOOK_SECONDS: Final = 0.002

MARK_TRUSTED: Final = timedelta(seconds=1)
"""A free lane with a younger mark has a holder between two transactions; with an older one, a holder that died."""

CAREFUL_TRANSFERS: Final = 1_000
"""Of those that wait after a holder died, how many at most are applied with care: one of them may have killed it."""

CAREFUL_BATCH_MAX: Final = 64
"""Transfers per commit with care: one at first, then twice as many each time. Source: decision 37."""

ATTEMPTS_MAX: Final = 5
"""After as many attempts alone a transfer ends as `unprocessable`."""

UNPROCESSABLE_IN_A_ROW_MAX: Final = 10
"""After more than these without a success between, the lane stops: then the defect is not the transfers'."""


PAUSE_ALONE_SECONDS: Final = 0.1

DIED: Final = "The process that applied it died."
"""What is known of a transfer that was tried five times without an exception to show for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What a stay in a lane came to. `owed`: webhooks are due. `left_over`: there is work in the lane again."""

    applied: int = 0
    owed: bool = False
    left_over: bool = False


class _LaneElsewhereError(Exception):
    """Somebody else works the lane, or it was stopped."""


@dataclass(slots=True, kw_only=True)
class Holder:
    """What one process remembers of one lane for as long as it lives.

    Attributes:
        id: Its mark: whoever finds it old knows that this process died, or lost its database.
        limit: Transfers in the next batch: half a batch that failed for what is in it, doubled when one succeeds.
        careful_limit: Transfers in the next batch with care: one after a death, doubled by each batch that is survived.
        trying: The place of the transfer whose attempt alone was counted, and came to nothing through no fault of its.
        decide: Says what becomes of transfers.
    """

    id: UUID
    limit: int = BATCH_MAX
    careful_limit: int = 1
    trying: int | None = None
    decide: Callable[..., Applied] = apply


@dataclass(slots=True, kw_only=True)
class _Stay:
    """One stay in a lane.

    Attributes:
        careful_left: How many more transfers are applied with care because a holder died.
        tried: Transfers in the last batch.
        defect: What went wrong with the transfer at the head, the last time it was tried.
    """

    connection: Connection
    lane: int
    holder: Holder
    careful_left: int = 0
    tried: int = 0
    defect: str = DIED
    applied: int = 0
    owed: bool = False


def drain(connection: Connection, *, lane: int, holder: Holder, seconds_max: float = DRAIN_SECONDS_MAX) -> Drained:
    """Work a lane until it is empty or the time is up; leave at once if somebody else works it.

    Args:
        connection: Every statement outside a transaction block is one of its own.
        holder: The same at every call of this process for this lane.

    Raises:
        psycopg.Error: Trouble with the infrastructure. Nothing of the batch under way was written, everything before
            it is final; try again, later and for ever.
    """
    deadline_seconds = clock.monotonic_seconds() + seconds_max
    stay = _Stay(connection=connection, lane=lane, holder=holder)
    try:
        _begin(stay)
        # A batch at least: a stay that always came too late for one would be no stay.
        while _apply_next(stay) or _linger(stay):
            if clock.monotonic_seconds() >= deadline_seconds:
                break
        _end(stay)
    except _LaneElsewhereError:
        return Drained(applied=stay.applied, owed=stay.owed)
    # Unlocked: what came between the last read and leaving the lane had its wake-up turned away by our lock.
    return Drained(applied=stay.applied, owed=stay.owed, left_over=looks.has_work(connection, lane))


def _begin(stay: _Stay) -> None:
    """Leave a mark before any work, so that whoever comes after a death knows of it."""
    with stay.connection.transaction():
        taken = ledger.take_lane(stay.connection, stay.lane)
        if taken is None or taken.stopped:
            raise _LaneElsewhereError
        stay.careful_left = taken.careful_transfers_left
        if not stay.careful_left:
            stay.holder.careful_limit = 1
        if taken.busy_by not in {None, stay.holder.id}:
            if taken.busy_for is not None and taken.busy_for < MARK_TRUSTED:
                raise _LaneElsewhereError
            log.warning("lane.holder_died", lane=stay.lane, holder_id=str(taken.busy_by))
            stay.holder.careful_limit = 1
            # What came after the death has not caused it.
            stay.careful_left = looks.count_waiting(stay.connection, stay.lane, limit=CAREFUL_TRANSFERS)
        ledger.mark_busy(stay.connection, stay.lane, holder_id=stay.holder.id, careful_transfers_left=stay.careful_left)


def _keep(stay: _Stay) -> ledger.TakenLane:
    """Take the lane again for the next transaction of the stay."""
    taken = ledger.keep_lane(stay.connection, stay.lane)
    if taken.stopped or taken.busy_by != stay.holder.id:
        raise _LaneElsewhereError
    return taken


def _end(stay: _Stay) -> None:
    with stay.connection.transaction():
        _keep(stay)
        ledger.clear_busy(stay.connection, stay.lane)


def _linger(stay: _Stay) -> bool:
    """Watch an empty lane for a moment; say whether something came."""
    until_seconds = clock.monotonic_seconds() + LINGER_SECONDS
    while clock.monotonic_seconds() < until_seconds:
        if looks.has_work(stay.connection, stay.lane):
            return True
        clock.pause(LINGER_LOOK_SECONDS)
    return False


def _apply_next(stay: _Stay) -> bool:
    """Apply the next batch, or find out which transfer in it cannot be applied; say whether there was one."""
    limit = min(stay.holder.limit, stay.holder.careful_limit) if stay.careful_left else stay.holder.limit
    try:
        applied = _apply_alone(stay) if limit == 1 else _apply_batch(stay, limit=limit)
    except Exception as error:  # an exception of our own is the batch's fault until it is known whose it is
        if not _blames_the_batch(error):
            raise
        stay.defect = f"{type(error).__name__}: {error}".replace("\0", "")
        stay.holder.limit = max(1, stay.tried // 2)
        stay.holder.trying = None
        log.exception("lane.batch_failed", lane=stay.lane, transfers=stay.tried)
        if limit == 1:
            clock.pause(PAUSE_ALONE_SECONDS)
        return True
    stay.holder.limit = min(BATCH_MAX, stay.holder.limit * 2)
    if stay.careful_left:
        stay.holder.careful_limit = min(CAREFUL_BATCH_MAX, stay.holder.careful_limit * 2)
    stay.holder.trying = None
    stay.defect = DIED
    stay.careful_left = max(0, stay.careful_left - applied)
    return applied > 0


def _blames_the_batch(error: Exception) -> bool:
    """Say whether what is in the batch may be at fault: its data (class 22), a constraint (class 23), code of ours."""
    match error:
        case _LaneElsewhereError() | ledger.QueueChangedError():
            return False
        case psycopg.Error():
            return (error.sqlstate or "")[:2] in {"22", "23"}
        case _:
            return True


def _apply_alone(stay: _Stay) -> int:
    """Apply the transfer at the head, the attempt noted beforehand; after five attempts end it as unprocessable.

    An attempt that ends with trouble of the infrastructure is not counted anew: that this process lives to try again
    proves that the transfer did not kill it.
    """
    with stay.connection.transaction():
        _keep(stay)
        rows = ledger.read_head(stay.connection, stay.lane, limit=1)
        if not rows:
            return 0
        head = rows[0]
        is_counted = head.position == stay.holder.trying
        if head.attempts < ATTEMPTS_MAX and not is_counted:
            ledger.count_attempt(stay.connection, head, lane=stay.lane)
    if head.attempts >= ATTEMPTS_MAX and not is_counted:
        return _give_up(stay)
    stay.holder.trying = head.position
    return _apply_batch(stay, limit=1)


def _give_up(stay: _Stay) -> int:
    """End the transfer at the head as unprocessable; if even that fails, stop the lane: the defect is not its."""
    for tells in (True, False):
        try:
            return _apply_batch(stay, limit=1, decide=_move_nothing, tells=tells)
        except Exception as error:  # as in `_apply_next`
            if not _blames_the_batch(error):
                raise
            log.exception("lane.giving_up_failed", lane=stay.lane, tells=tells)
    with stay.connection.transaction():
        _keep(stay)
        ledger.stop_lane(stay.connection, stay.lane)
    log.critical("lane.stopped", lane=stay.lane)
    raise _LaneElsewhereError


def _move_nothing(transfers: Sequence[QueuedTransfer], *, wallets: Mapping[UUID, WalletState]) -> Applied:
    """Decide that nothing moves, whatever the wallets hold."""
    del wallets
    outcomes = [Outcome(transfer.transfer_id, FailureCode.UNPROCESSABLE) for transfer in transfers]
    return Applied(outcomes=outcomes, entries=[], changed_wallets={})


def _apply_batch(stay: _Stay, *, limit: int, decide: Callable[..., Applied] | None = None, tells: bool = True) -> int:
    """Apply the head of the lane in one transaction, and say how many transfers ended.

    Each statement has a snapshot younger than the lock before it; architecture.md, section 4, has the order and why.
    """
    with stay.connection.transaction():
        lane = _keep(stay)
        rows = ledger.read_head(stay.connection, stay.lane, limit=limit)
        read_seconds = clock.monotonic_seconds()
        stay.tried = len(rows)
        if not rows:
            return 0
        wallets = ledger.lock_wallets(stay.connection, _wallet_ids(rows))
        endpoints = deliveries.read_endpoints(stay.connection, set(wallets.owners.values()))
        applied = (decide or stay.holder.decide)([row.transfer for row in rows], wallets=wallets.states)
        at = max(max(row.read_at, row.accepted_at) for row in rows)
        ledger.write_wallets(stay.connection, applied.changed_wallets, places=wallets.places)
        ledger.write_entries(stay.connection, applied.entries, at=at)
        decided = zip(rows, applied.outcomes, strict=True)
        # Made while they are written: PostgreSQL and Python work at once.
        events = ledger.write_events(stay.connection, _events(stay, decided, lane=lane, owners=wallets.owners, at=at))
        owed = tells and _owe(stay.connection, events, endpoints=endpoints, at=at)
        ledger.delete_applied(stay.connection, rows, lane=stay.lane)
        durations = _durations(rows, since_read_seconds=clock.monotonic_seconds() - read_seconds)
        _record(stay.connection, events, lane=lane, at=at, durations=durations)
    stay.applied += len(rows)
    stay.owed = stay.owed or owed
    ledger.notify_applied(stay.connection, lane=stay.lane, event_number=events[-1].number)
    return len(rows)


def _wallet_ids(rows: Sequence[ledger.QueueRow]) -> set[UUID]:
    return {row.source_wallet_id for row in rows} | {row.destination_wallet_id for row in rows}


def _events(
    stay: _Stay,
    decided: Iterable[tuple[ledger.QueueRow, Outcome]],
    *,
    lane: ledger.TakenLane,
    owners: Mapping[UUID, UUID],
    at: datetime,
) -> Generator[ledger.Event]:
    return (
        ledger.Event(
            id=new_id(),
            lane=lane.lane,
            number=number,
            type=webhook.event_type(outcome.failure_code),
            transfer_id=outcome.transfer_id,
            version=ENDED_VERSION,
            failure_code=outcome.failure_code,
            defect=stay.defect if outcome.failure_code is FailureCode.UNPROCESSABLE else None,
            created_at=at,
            owner_id=payer_id,
            # Who else is told of it: the payee, of a success, if that is not the payer.
            destination_owner_id=payee_id if outcome.failure_code is None and payee_id != payer_id else None,
            position=row.position,
        )
        for number, (row, outcome) in enumerate(decided, start=lane.event_number + 1)
        for payer_id, payee_id in [(owners[row.source_wallet_id], owners[row.destination_wallet_id])]
    )


def _owe(
    connection: Connection, events: Sequence[ledger.Event], *, endpoints: Sequence[webhook.Endpoint], at: datetime
) -> bool:
    """Write down what each endpoint is owed, and say whether that is anything."""
    listeners = {endpoint.owner_id for endpoint in endpoints}
    told = [event for event in events if event.owner_id in listeners or event.destination_owner_id in listeners]
    if not told:
        return False
    transfers = deliveries.read_transfers(connection, [event.transfer_id for event in told])
    owed = [
        deliveries.NewDelivery(
            new_id(),
            endpoint.id,
            event.id,
            webhook.body(event_name(event.id), transfer=transfer, ending=ending, viewer_id=endpoint.owner_id),
        )
        for event in told
        for transfer, ending in [(transfers[event.transfer_id], _ending(event))]
        for endpoint in webhook.endpoints_owed(transfer, ending=ending, endpoints=endpoints)
    ]
    deliveries.owe(connection, owed, at=at)
    return bool(owed)


def _ending(event: ledger.Event) -> Ending:
    code = None if event.failure_code is None else FailureCode(event.failure_code)
    return Ending(failure_code=code, at=event.created_at)


def _durations(rows: Sequence[ledger.QueueRow], *, since_read_seconds: float) -> Histogram:
    """Count how long these transfers took from their acceptance until now, which is right before the commit."""
    durations = Histogram(ENDING_BOUNDS_SECONDS)
    durations.add(max(0.0, (row.read_at - row.accepted_at).total_seconds()) + since_read_seconds for row in rows)
    return durations


def _record(
    connection: Connection,
    events: Sequence[ledger.Event],
    *,
    lane: ledger.TakenLane,
    at: datetime,
    durations: Histogram,
) -> None:
    """Note how far the lane has come; stop it when it was a defect of ours too often in a row."""
    unprocessable = [event.transfer_id for event in events if event.failure_code == FailureCode.UNPROCESSABLE]
    in_a_row = lane.unprocessable_in_a_row + len(unprocessable) if len(unprocessable) == len(events) else 0
    stopped = in_a_row > UNPROCESSABLE_IN_A_ROW_MAX
    ledger.record_application(
        connection,
        lane,
        event_number=events[-1].number,
        at=at,
        count=len(events),
        newest_position=events[-1].position,
        unprocessable_in_a_row=in_a_row,
        stopped=stopped,
        durations=durations,
    )
    for transfer_id in unprocessable:
        log.error("transfer.unprocessable", transfer_id=str(transfer_id), lane=lane.lane)
    if stopped:
        log.critical("lane.stopped", lane=lane.lane, unprocessable_in_a_row=in_a_row)
