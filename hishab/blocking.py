"""Call an asynchronous client from code that does not await: scripts, Django, Celery tasks."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from hishab.client import Client

T = TypeVar("T")


class Blocking:
    """Runs a client's calls on an event loop in a thread of its own. Any thread may call it.

    Every call of `Client` is there, as it is: there is no second client.

        client = Client(url, api_key=key)
        with Blocking(client) as run:
            transfer = run(client.submit_and_wait(…))
            for entry in run.each(client.iterate_entries(wallet_id)):
                …
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="hishab-client", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self(self._client.__aexit__(kind, error, at))
        self(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __call__(self, call: Coroutine[Any, Any, T]) -> T:
        """Return what a call returns, or raise what it raises."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        finally:
            # Ctrl-C ends the waiting: the call is not to go on behind one's back. Nothing if it has ended.
            future.cancel()

    def each(self, items: AsyncGenerator[T]) -> Generator[T]:
        """Yield what a stream or a list yields."""
        try:
            while (item := self(_next(items))) is not None:
                yield item
        finally:
            self(items.aclose())


async def _next(items: AsyncGenerator[T]) -> T | None:
    return await anext(items, None)
