"""What does not wait behind lists: finding out who calls, and saying whether transfers can be accepted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from fastapi import Response

from api import health
from api.main import make_parts
from api.parts import Parts
from shared.database.key_registration import register_key
from shared.domain.api_key import KEY_PREFIX, hash_key
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import OPERATOR
from shared.identifiers import new_id
from shared.settings import ApiSettings
from tests.ledger import Ledger

pytestmark = pytest.mark.anyio

KEY = f"{KEY_PREFIX}looks"


@pytest.fixture
async def busy(ledger: Ledger, api_settings: ApiSettings) -> AsyncGenerator[Parts]:
    """An edge whose readers' connections are all taken, as by slow lists."""
    register_key(
        ledger.connection, key_id=new_id(), owner_id=OPERATORS_OWNER_ID, key_hash=hash_key(KEY), scopes=[OPERATOR]
    )
    parts = make_parts(api_settings, lane_count=1)
    async with AsyncExitStack() as taken:
        for _ in range(api_settings.database_pool_size):
            await taken.enter_async_context(parts.engine.connect())
        yield parts
    await parts.engine.dispose()
    await parts.looking_engine.dispose()
    await asyncio.to_thread(parts.wake_ups.stop)


async def test_a_caller_is_known_while_lists_have_all_connections(busy: Parts) -> None:
    caller = await busy.known_callers.look_up(KEY, now_seconds=0)
    assert caller.owner_id == OPERATORS_OWNER_ID


async def test_an_edge_is_ready_while_lists_have_all_connections(busy: Parts) -> None:
    response = Response()
    said = await health.get_readyz(busy, response)
    assert (response.status_code, said["checks"]["database"]) == (200, "ok")
