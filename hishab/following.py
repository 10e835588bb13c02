"""Follow transfers and batches to the end, through lost connections and restarts: by held-back answers or streams."""

import asyncio
import json
import math
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

import httpx2

from hishab.answers import Event, StandingBatch, Transfer
from hishab.errors import NotFinalError, UnavailableError, UnexpectedAnswerError
from hishab.retry import delay_seconds
from hishab.sending import NOT_MODIFIED, Request, Sender, parse

HOLD_SECONDS_MAX = 25
"""As long as the server holds an answer back. Source: RFC 7240 `wait`, and its contract."""

SOON_SECONDS = 1.0
"""An answer that comes sooner was not held back: ask again after a pause."""

PING_SECONDS = 15.0
"""A connection that lives so long has been heard of: the server sends a comment this often. Source: its contract."""

CUT_OFF = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
NO_CONTENT = 204

Followed = TypeVar("Followed", Transfer, StandingBatch)


async def wait(
    sender: Sender, path: str, shape: type[Followed], *, seconds_max: float, only_for_news: bool
) -> Followed:
    """Return what a path leads to once it is final.

    Args:
        only_for_news: Say what is known already, and be answered 304. What changes long before its end would be
            answered at each of these changes, instead of held back.

    Raises:
        NotFinalError: It was not, in so many seconds.
        HishabError: As `Client` says.
    """
    clock = asyncio.get_running_loop()
    deadline, attempt = clock.time() + seconds_max, 0
    standing, tag = None, ""
    while True:
        attempt += 1
        asked_at = clock.time()
        rest_seconds = max(deadline - asked_at, 0.0)
        headers = {"Prefer": prefer_wait(rest_seconds)} | ({"If-None-Match": tag} if tag else {})
        request = Request(path=path, headers=headers)
        answer = await sender.send(request, patience_seconds=rest_seconds)
        if standing is None or answer.status_code != NOT_MODIFIED:
            standing, tag = parse(answer, shape), answer.headers.get("ETag", "") if only_for_news else ""
        if standing.is_terminal:
            return standing
        if clock.time() >= deadline:
            raise NotFinalError(f"{standing.so_far} It goes on by itself.")
        if clock.time() - asked_at < SOON_SECONDS:
            pause = _pause_seconds(attempt, retry_after=answer.headers.get("Retry-After", ""))
            await asyncio.sleep(min(pause, max(deadline - clock.time(), 0.0)))


def prefer_wait(seconds: float) -> str:
    """Return the `Prefer` that has an answer held back for so long, or for as long as the server does."""
    return f"wait={math.ceil(min(seconds, HOLD_SECONDS_MAX))}"


async def stream(sender: Sender, transfer_id: str, *, patience_seconds: float) -> AsyncGenerator[Event]:
    """Yield each event of a transfer once, up to the one that ends it, beginning with how it stands.

    Raises:
        UnavailableError: Nothing was heard for as long as patience lasts.
        HishabError: As `Client` says.
    """
    version = 0
    async with aclosing(_events(sender, transfer_id, patience_seconds=patience_seconds)) as events:
        async for event in events:
            transfer = event.transfer
            # A connection that replaces a lost one opens with how the transfer stands: mostly known already.
            if transfer is None or transfer.version > version:
                yield event
            if transfer is not None:
                version = max(version, transfer.version)
                if transfer.is_terminal:
                    return


async def _events(sender: Sender, transfer_id: str, *, patience_seconds: float) -> AsyncGenerator[Event]:
    """Yield what comes over one connection after the other, each beginning where the last was cut off."""
    clock = asyncio.get_running_loop()
    last_id, attempt, heard_at = "", 0, clock.time()
    while clock.time() - heard_at <= patience_seconds:
        answer = await sender.send(_opening(transfer_id, last_id=last_id), as_stream=True)
        opened_at = clock.time()
        try:
            if answer.status_code == NO_CONTENT:
                return
            async for message in httpx2.EventSource(answer):
                attempt, heard_at, last_id = 0, clock.time(), message.id
                yield _event(message)
        except httpx2.SSEError as error:
            raise UnexpectedAnswerError(f"The stream of transfer {transfer_id} is none: {error}") from error
        except CUT_OFF:
            pass
        finally:
            await answer.aclose()
        if clock.time() - opened_at > PING_SECONDS:
            attempt, heard_at = 0, clock.time()
        attempt += 1
        await asyncio.sleep(_pause_seconds(attempt, retry_after=""))
    raise UnavailableError(f"The stream of transfer {transfer_id} is cut off again and again.")


def _opening(transfer_id: str, *, last_id: str) -> Request:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    return Request(path=f"/v1/transfers/{transfer_id}/events", headers=headers)


def _event(message: httpx2.ServerSentEvent) -> Event:
    try:
        return Event(id=message.id or None, type=message.event, data=json.loads(message.data))
    except ValueError as error:
        raise UnexpectedAnswerError("The stream carries something that is no event.") from error


def _pause_seconds(attempt: int, *, retry_after: str) -> float:
    # Chance spreads those who were cut off together; it guards nothing.
    return delay_seconds(attempt, retry_after=retry_after, chance=random.random())  # noqa: S311
