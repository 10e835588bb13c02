"""Ask a scripted server through the client."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, repeat
from typing import TypeVar

from hishab.client import Client
from hishab.new_transfer import NewTransfer
from tests.unit.scripted_server import Reply, Script, Seen, serving

T = TypeVar("T")

TRANSFER = {
    "id": "t1",
    "status": "queued",
    "version": 1,
    "amount": 100,
    "currency": "CZK",
    "source_wallet_id": "a",
    "destination_wallet_id": "b",
    "reference": None,
    "failure": None,
    "completed_at": None,
    "mood": "fine",
}
NEW = NewTransfer(source_wallet_id="a", destination_wallet_id="b", amount_minor=100, currency="CZK")
ENDED = TRANSFER | {"status": "succeeded", "version": 2, "completed_at": "2026-11-22T10:00:00.000000Z"}
ACCEPTED = Reply(status=202, body=TRANSFER)


def problem(status: int, code: str, **headers: str) -> Reply:
    body = {
        "code": code,
        "title": "No",
        "detail": "Not so.",
        "request_id": "r7",
        "status": status,
        "type": "/problems/x",
    }
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def one_after_the_other(*replies: Reply) -> tuple[Script, list[Seen]]:
    """Return a script that gives these replies, the last one for ever, and the list it keeps."""
    seen: list[Seen] = []
    waiting: Iterator[Reply] = chain(replies, repeat(replies[-1]))

    def script(request: Seen) -> Reply:
        seen.append(request)
        return next(waiting)

    return script, seen


def ask(script: Script, call: Callable[[Client], Awaitable[T]], *, patience_seconds: float = 60) -> T:
    async def asking(url: str) -> T:
        async with Client(url, api_key="sk_test", patience_seconds=patience_seconds) as client:
            return await call(client)

    with serving(script) as url:
        return asyncio.run(asking(url))
