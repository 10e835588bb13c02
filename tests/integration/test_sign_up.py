"""What a sign-up promises once it is committed: whatever happens then, the answer is not "try again"."""

import asyncio
from dataclasses import replace

import pytest

from api.main import make_parts
from api.transfers.waiting import Endings
from api.users.sign_up import sign_up
from shared.settings import ApiSettings
from tests.callers import PIN
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio


async def test_is_answered_with_the_queued_grant_where_nobody_tells_of_its_end(
    ledger: Ledger, api_settings: ApiSettings
) -> None:
    deaf = Endings(api_settings.database_url, watched_max=1)
    parts = replace(make_parts(api_settings, lane_count=1), endings=deaf)
    try:
        async with parts.intake_pool:
            signing_up = asyncio.create_task(sign_up(parts, name="Rina", email="rina@example.org", pin=PIN))
            while not await asyncio.to_thread(ledger.value, "SELECT transfer_id FROM queue"):
                await asyncio.sleep(0.01)
            await asyncio.to_thread(ledger.drain)
            signed_up = await signing_up
    finally:
        await asyncio.to_thread(parts.wake_ups.stop)
    grant = signed_up.opening_grant
    assert grant.ending is None
    assert ledger.ending(grant.transfer.id) == "succeeded"
    assert ledger.value("SELECT id FROM users WHERE email = 'rina@example.org'") == signed_up.user.id
