"""Hold what the routes stand on: made once, by `main.py`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.known_callers import KnownCallers
from api.looks import Looks
from api.quotas import Quotas
from api.transfers.backlog import Backlog
from api.transfers.batch_readings import BatchReadings
from api.transfers.intake import Intake
from api.transfers.reading import Readings
from api.transfers.waiting import Endings
from api.users.pins import Pins
from api.users.tokens import Tokens
from shared.database.pool import Pool
from shared.domain.acceptance import Accepted, AcceptedBatch, BatchRequest, TransferRequest
from shared.queue import WakeUps
from shared.secrets_at_rest import SecretsAtRest
from shared.settings import ApiSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything with a life as long as the process's.

    Attributes:
        engine: For all but accepting and looks.
        looking_engine: For what must not wait behind lists: who calls, how long the queue is, whether all is well.
        intake_pool: For accepting alone.
        caller_quotas: Of requests.
        address_quotas: Of sign-ups and log-ins.
    """

    settings: ApiSettings
    engine: AsyncEngine
    looking_engine: AsyncEngine
    intake_pool: Pool
    intake: Intake[TransferRequest, Accepted]
    batch_intake: Intake[BatchRequest, AcceptedBatch]
    backlog: Backlog
    looks: Looks
    batches: BatchReadings
    readings: Readings
    endings: Endings
    wake_ups: WakeUps
    known_callers: KnownCallers
    caller_quotas: Quotas
    address_quotas: Quotas
    tokens: Tokens
    pins: Pins
    endpoint_secrets: SecretsAtRest
    lane_count: int


async def parts_of(request: Request) -> Parts:
    """Return what `main.py` made. Awaits nothing, but a plain function would be run in a thread, at every request."""
    return cast("Parts", request.app.state.parts)


FromParts = Annotated[Parts, Depends(parts_of)]


async def transaction(parts: FromParts) -> AsyncIterator[AsyncConnection]:
    """Open the transaction of a use case; committed before the answer is sent, rolled back by an exception."""
    async with parts.engine.begin() as tx:
        yield tx


# Ends with the function that asked for it, so that no answer goes out before its commit.
InTransaction = Annotated[AsyncConnection, Depends(transaction, scope="function")]
