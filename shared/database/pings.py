"""Write down that an endpoint is to be sent a ping."""

from typing import LiteralString
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.endpoint_health import TAKE_NUMBER
from shared.domain import wire
from shared.domain.webhook import PING, message
from shared.identifiers import event_name, new_id

INSERT_EVENT: LiteralString = """
INSERT INTO events (id, lane, number, type, created_at, owner_id, endpoint_id, data)
VALUES (:id, 0, :number, :type, :at, :owner_id, :endpoint_id, CAST(:data AS json))
"""

# Due since its endpoint exists, which is before everything else that is.
INSERT_DELIVERY: LiteralString = """
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, body, status, attempts, next_attempt_at, created_at)
SELECT CAST(:id AS uuid), id, CAST(:event_id AS uuid), CAST(:body AS bytea), 'pending', 0, created_at,
       CAST(:at AS timestamptz)
FROM webhook_endpoints
WHERE id = :endpoint_id
"""


async def owe_ping(tx: AsyncConnection, endpoint_id: UUID, *, owner_id: UUID) -> UUID:
    """Owe an endpoint a ping, ahead of everything else that it is owed, and return the delivery's id."""
    event_id, delivery_id = new_id(), new_id()
    number, at = (await tx.execute(text(TAKE_NUMBER))).one()
    data = {"endpoint_id": str(endpoint_id)}
    event = {
        "id": event_id,
        "number": number,
        "type": PING,
        "at": at,
        "owner_id": owner_id,
        "endpoint_id": endpoint_id,
        "data": wire.to_json(data).decode(),
    }
    await tx.execute(text(INSERT_EVENT), event)
    body = message(event_name(event_id), event_type=PING, at=at, data=data)
    delivery = {"id": delivery_id, "endpoint_id": endpoint_id, "event_id": event_id, "body": body, "at": at}
    await tx.execute(text(INSERT_DELIVERY), delivery)
    return delivery_id
