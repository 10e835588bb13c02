"""What a sign-up promises: no more than the queue takes; and once it is committed, no answer says "try again"."""

import asyncio
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

import psycopg
import pytest

from api.main import make_parts
from api.transfers.waiting import Endings
from api.users.pins import HASHES_AT_ONCE
from api.users.sign_up import sign_up
from shared.database.connections import AUDIT, connect
from shared.database.users import INSERT_USER
from shared.domain.errors import QueueUnavailable
from shared.identifiers import new_id
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


async def test_is_refused_before_hashing_while_the_queue_is_full(ledger: Ledger, api_settings: ApiSettings) -> None:
    source, destination = ledger.wallet(), ledger.wallet()
    for _ in range(2):
        await asyncio.to_thread(ledger.accept_one, source, destination, 1)
    parts = make_parts(api_settings.model_copy(update={"backlog_max": 1}), lane_count=1)
    watching = asyncio.create_task(parts.backlog.run())
    try:
        while not parts.backlog.is_full():
            await asyncio.sleep(0.01)
        async with parts.intake_pool, AsyncExitStack() as places:
            for _ in range(HASHES_AT_ONCE):
                await places.enter_async_context(parts.pins.place())
            with pytest.raises(QueueUnavailable):
                await sign_up(parts, name="Rina", email="rina@example.org", pin=PIN)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await parts.looking_engine.dispose()
        await asyncio.to_thread(parts.wake_ups.stop)
    assert ledger.value("SELECT count(*) FROM users WHERE email = 'rina@example.org'") == 0


async def test_is_told_to_come_back_while_another_holds_the_email(ledger: Ledger, api_settings: ApiSettings) -> None:
    parts = make_parts(api_settings, lane_count=1)
    try:
        with email_held(ledger, "rina@example.org"):
            async with parts.intake_pool:
                with pytest.raises(QueueUnavailable):
                    await sign_up(parts, name="Rina", email="rina@example.org", pin=PIN)
    finally:
        await asyncio.to_thread(parts.wake_ups.stop)
    assert ledger.value("SELECT count(*) FROM queue") == 0


@contextmanager
def email_held(ledger: Ledger, email: str) -> Generator[None]:
    """Have somebody else sign up with an email, who comes to nothing when the block is left."""
    with connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other, other.transaction() as held:
        other.execute(INSERT_USER, {"id": new_id(), "name": "Other", "email": email, "pin_hash": ""})
        yield
        raise psycopg.Rollback(held)
