"""Have the whole ledger checked, and wait for the finding."""

import asyncio

from hishab.answers import Audit
from hishab.client import Client
from hishab.errors import UnavailableError

FINISHED = "finished"
PAUSE_SECONDS_FIRST = 0.1
PAUSE_SECONDS_MAX = 2.0


async def audit(client: Client) -> Audit:
    """Return a finished audit, asked for now.

    Raises:
        UnavailableError: It was not finished within the client's patience. It goes on by itself.
        HishabError: As `Client` says.
    """
    clock = asyncio.get_running_loop()
    began_at, pause_seconds = clock.time(), PAUSE_SECONDS_FIRST
    found = await client.request_audit()
    while found.status != FINISHED:
        if clock.time() - began_at > client.patience_seconds:
            raise UnavailableError(f"Audit {found.id} is still {found.status}. It goes on by itself.")
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, PAUSE_SECONDS_MAX)
        found = await client.audit(found.id)
    return found
