"""Ask a running Hishab something, for commands that print what it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from hishab import connection
from hishab.client import Client

PATIENCE_SECONDS: Final = 30.0

Found = TypeVar("Found")


def ask(
    question: Callable[[Client], Awaitable[Found]], *, data_dir: Path, url: str | None, api_key: str | None
) -> Found:
    """Return what a client finds out."""
    found = connection.find(data_dir=data_dir, url=url, api_key=api_key)

    async def asking() -> Found:
        async with Client(found.url, api_key=found.api_key, patience_seconds=PATIENCE_SECONDS) as client:
            return await question(client)

    return asyncio.run(asking())
