"""Stream what becomes of a transfer as Server-Sent Events: how it stands, then how it ends."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.parts import FromParts
from api.strict import Id
from api.transfers.schemas import TRANSFER_QUEUED
from api.transfers.waiting import Watch
from shared.database.endings import EndedTransfer
from shared.domain import wire
from shared.domain.transfer import Transfer
from shared.domain.webhook import event_type
from shared.identifiers import event_name

PINGS_MAX: Final = 60
"""After so many the stream ends: a quarter of an hour, the life of a token. EventSource comes back by itself, and is
asked for its credentials again."""

RECONNECT_MILLISECONDS: Final = 1_000

STREAM: Final = "text/event-stream"
LISTING: Final = "application/json"

_LOW_WEIGHT: Final = re.compile(r"[;\s]q=(0(?:\.[0-9]*)?)\s*(?:;|$)")


def wants_stream(accept: str) -> bool:
    """Say whether a caller would rather have a stream than the list; who wants both alike gets the list."""
    weights = {_media_type(media_range): _weight(media_range) for media_range in accept.split(",")}
    return weights.get(STREAM, 0.0) > weights.get(LISTING, 0.0)


async def watch_for_stream(
    transfer_id: Id, parts: FromParts, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> AsyncIterator[Watch | None]:
    """Watch a transfer for as long as a stream of it lasts; None where a list was asked for."""
    if not wants_stream(accept):
        yield None
        return
    with parts.endings.watch([transfer_id]) as watch:
        yield watch


# It ends with the answer, and not with the function that begins it: a stream goes on after that.
WatchForStream = Annotated[Watch | None, Depends(watch_for_stream, scope="request")]


async def tell(
    transfer: Transfer,
    *,
    ended: EndedTransfer | None,
    viewer_id: UUID,
    watch: Watch,
    ping_seconds: float,
    is_let_in: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """Tell how a transfer stands and then how it ends, with a comment now and then that keeps the line open.

    Args:
        ended: How it has ended already.
        watch: Was begun before that was read.
        is_let_in: Says whether whoever listens still may; the stream ends with their credentials.
    """
    if ended is None:
        yield _queued(transfer, viewer_id=viewer_id)
        for _ in range(PINGS_MAX):
            await watch.wait(seconds_max=ping_seconds)
            if not await is_let_in():
                return
            if watch.is_over:
                break
            yield KEEPALIVE_COMMENT
        ended = watch.endings.get(transfer.id)
    if ended is not None:
        yield _ended(transfer, ended=ended, viewer_id=viewer_id)


def _queued(transfer: Transfer, *, viewer_id: UUID) -> bytes:
    """Spell the acceptance, which is no event and has no id: whoever comes back without one is told it again."""
    data = wire.to_json(wire.reading(transfer, ending=None, viewer_id=viewer_id)).decode()
    return format_sse_event(data_str=data, event=TRANSFER_QUEUED, retry=RECONNECT_MILLISECONDS)


def _ended(transfer: Transfer, *, ended: EndedTransfer, viewer_id: UUID) -> bytes:
    data = wire.to_json(wire.reading(transfer, ending=ended.ending, viewer_id=viewer_id)).decode()
    return format_sse_event(data_str=data, event=event_type(ended.ending.failure_code), id=event_name(ended.event_id))


def _media_type(media_range: str) -> str:
    return media_range.partition(";")[0].strip().lower()


def _weight(media_range: str) -> float:
    low = _LOW_WEIGHT.search(media_range.lower())
    return float(low[1]) if low else 1.0
