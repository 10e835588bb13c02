"""Wait until transfers are final, asking the server for them by the page instead of one by one where that helps."""

import asyncio
from collections.abc import Collection

from hishab.answers import Transfer
from hishab.client import Client
from hishab.errors import UnavailableError
from hishab.progress import Progress
from hishab.side_by_side import for_each

ONE_BY_ONE_MAX = 10
"""Up to so many are read one by one: a page costs more than that. Source: decision."""

PAUSE_SECONDS_FIRST = 0.05
PAUSE_SECONDS_MAX = 1.0


async def settled(client: Client, transfer_ids: Collection[str], *, progress: Progress) -> dict[str, Transfer]:
    """Return these transfers, by id, once each is final.

    Raises:
        UnavailableError: None became final for as long as the client's patience lasts. They are still queued.
        HishabError: As `Client` says.
    """
    clock = asyncio.get_running_loop()
    final: dict[str, Transfer] = {}
    waiting = set(transfer_ids)
    progress.begin("final", total=len(waiting))
    moved_at, pause_seconds = clock.time(), PAUSE_SECONDS_FIRST
    while waiting:
        transfers = await read_transfers(client, waiting)
        done = {transfer_id: transfer for transfer_id, transfer in transfers.items() if transfer.is_terminal}
        final |= done
        waiting -= done.keys()
        progress.advance(len(done))
        if done:
            moved_at, pause_seconds = clock.time(), PAUSE_SECONDS_FIRST
        elif clock.time() - moved_at > client.patience_seconds:
            raise UnavailableError(f"{len(waiting)} transfers are accepted and safe, but none is applied for now.")
        if waiting:
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.5, PAUSE_SECONDS_MAX)
    return final


async def read_transfers(client: Client, transfer_ids: Collection[str]) -> dict[str, Transfer]:
    """Return these transfers, by id, as they are now; any that the server does not know is left out.

    What was sent a moment ago stands on the first pages of the list. What does not is asked for by its id.
    """
    missing = set(transfer_ids)
    found: dict[str, Transfer] = {}
    cursor: str | None = None
    while len(missing) > ONE_BY_ONE_MAX:
        page = await client.transfer_page(cursor=cursor)
        hits = {transfer.id: transfer for transfer in page.data if transfer.id in missing}
        found |= hits
        missing -= hits.keys()
        cursor = page.next_cursor
        if not hits or cursor is None:
            break

    async def read(transfer_id: str) -> None:
        transfer = await client.find_transfer(transfer_id)
        if transfer is not None:
            found[transfer_id] = transfer

    await for_each(sorted(missing), read, at_once_max=client.connections_max)
    return found
