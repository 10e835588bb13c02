"""The API does not go on without its tasks: it would answer /readyz, and keep every transfer waiting."""

import asyncio
import signal

import pytest

from api.main import make_app
from api.parts import Parts
from shared.settings import ApiSettings

pytestmark = pytest.mark.anyio


async def test_ends_when_its_intake_has_ended(api_settings: ApiSettings) -> None:
    app = make_app(api_settings, lane_count=1)
    parts: Parts = app.state.parts
    told_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
    try:
        async with app.router.lifespan_context(app):
            assert not told_to_stop.is_set()
            parts.intake.stop()
            async with asyncio.timeout(20):
                await told_to_stop.wait()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
