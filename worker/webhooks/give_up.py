"""Give up endpoints that are gone, or gave nothing but failures for days: disable them, and tell their owners once."""

from collections.abc import Sequence

import structlog
from psycopg import Connection

from shared.database import deliveries, endpoint_health
from shared.database.claims import Attempt
from shared.database.endpoint_health import DisabledEndpoint, EndpointEvent
from shared.domain.endpoint_health import GIVEN_UP_FAILURES_MIN
from shared.domain.webhook import ENDPOINT_DISABLED, DisabledReason, disabled_data, message
from shared.identifiers import event_name, new_id

log = structlog.get_logger()


def give_up(tx: Connection, attempts: Sequence[Attempt], *, after_seconds: float) -> bool:
    """Disable the endpoints that these attempts were the last straw for, and say whether somebody is owed word of it.

    Args:
        attempts: That have been counted already.
        after_seconds: How long an endpoint may give nothing but failures.
    """
    failed = sorted({attempt.delivery.endpoint_id for attempt in attempts if not attempt.answer.delivered})
    gone = {attempt.delivery.endpoint_id: attempt.delivery.url for attempt in attempts if attempt.answer.gone}
    disabled = endpoint_health.disable(
        tx, failed, gone=list(gone.items()), failures_min=GIVEN_UP_FAILURES_MIN, after_seconds=after_seconds
    )
    for endpoint in disabled:
        log.warning("webhook.endpoint_disabled", endpoint_id=str(endpoint.id), reason=endpoint.reason)
    told = [_tell(tx, endpoint) for endpoint in disabled]
    return any(told)


def _tell(tx: Connection, endpoint: DisabledEndpoint) -> bool:
    """Write down that an endpoint was disabled, and owe word of it to its owner's other endpoints."""
    number, at = endpoint_health.take_number(tx)
    event = EndpointEvent(
        id=new_id(),
        number=number,
        type=ENDPOINT_DISABLED,
        created_at=at,
        owner_id=endpoint.owner_id,
        endpoint_id=endpoint.id,
        data=disabled_data(endpoint.id, url=endpoint.url, reason=DisabledReason(endpoint.reason), at=endpoint.at),
    )
    endpoint_health.write_event(tx, event)
    body = message(event_name(event.id), event_type=event.type, at=at, data=event.data)
    others = [other for other in deliveries.read_endpoints(tx, [endpoint.owner_id]) if other.wants(ENDPOINT_DISABLED)]
    deliveries.owe(tx, [deliveries.NewDelivery(new_id(), other.id, event.id, body) for other in others], at=at)
    return bool(others)
