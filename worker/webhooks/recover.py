"""Carry out the recoveries that were asked for: owe again what an endpoint was not delivered. Run by upkeep."""

from typing import Final

import structlog
from psycopg import Connection

from shared.database import deliveries, recovering
from shared.database.deliveries import NewDelivery
from shared.database.recovering import PastEvent, TakenRecovery
from shared.domain import webhook
from shared.domain.transfer import Ending, FailureCode
from shared.identifiers import event_name, new_id

log = structlog.get_logger()

PAGE_MAX: Final = 500
"""Events looked at in one transaction."""


def recover(connection: Connection) -> bool:
    """Do a page of the next recovery, and say whether there was one.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the page is done again.
    """
    with connection.transaction():
        recovery = recovering.take_recovery(connection)
        if recovery is None:
            return False
        if recovery.closed:
            recovering.finish(connection, recovery)
            return True
        if recovery.number is None:
            # Alone in its snapshot: what the lane has under way is seen by the statement that comes after.
            recovering.await_lane(connection, recovery.lane)
        _do_page(connection, recovery)
    return True


def _do_page(tx: Connection, recovery: TakenRecovery) -> None:
    events = recovering.read_events(tx, recovery, limit=PAGE_MAX)
    within = [event for event in events if recovery.since <= event.created_at < recovery.until]
    owed = _owed(tx, recovery, within)
    count = recovering.owe_again(tx, recovery.endpoint_id, owed) if owed else 0
    if len(events) == PAGE_MAX and events[-1].created_at >= recovery.since:
        recovering.advance(tx, recovery, number=events[-1].number, owed=count)
        return
    recovering.go_to_next_lane(tx, recovery, owed=count)
    log.info("webhook.recovered", endpoint_id=str(recovery.endpoint_id), lane=recovery.lane)


def _owed(tx: Connection, recovery: TakenRecovery, events: list[PastEvent]) -> list[NewDelivery]:
    transfers = deliveries.read_transfers(tx, [event.transfer_id for event in events if event.transfer_id is not None])
    owed: list[NewDelivery] = []
    for event in events:
        if event.transfer_id is not None:
            transfer, ending = transfers[event.transfer_id], _ending(event)
            if not webhook.endpoints_owed(transfer, ending=ending, endpoints=[recovery.endpoint]):
                continue
            body = webhook.body(event_name(event.id), transfer=transfer, ending=ending, viewer_id=recovery.owner_id)
        elif _concerns(event, recovery):
            body = webhook.message(
                event_name(event.id), event_type=event.type, at=event.created_at, data=event.data or {}
            )
        else:
            continue
        owed.append(NewDelivery(new_id(), recovery.endpoint_id, event.id, body))
    return owed


def _concerns(event: PastEvent, recovery: TakenRecovery) -> bool:
    """Say whether an endpoint is told of what happened to one: of others' being disabled. A ping is of its moment."""
    return (
        event.type == webhook.ENDPOINT_DISABLED
        and event.endpoint_id != recovery.endpoint_id
        and recovery.endpoint.wants(event.type)
    )


def _ending(event: PastEvent) -> Ending:
    code = None if event.failure_code is None else FailureCode(event.failure_code)
    return Ending(failure_code=code, at=event.created_at)
