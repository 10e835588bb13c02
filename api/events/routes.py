"""Show callers their feed: what webhooks tell, for those who would rather ask, or who missed some."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api import problems
from api.caller import Caller, needs
from api.operations import operation_id
from api.paging import Limit, Listing, number
from api.parts import InTransaction
from api.strict import StrictRoute
from api.webhook_endpoints.schemas import FeedType
from shared.database.feed import FeedEvent, read_feed
from shared.database.transfers import StandingTransfer, read_transfers
from shared.domain import webhook, wire
from shared.domain.errors import CursorInvalid, NotAuthenticated, ScopeMissing, ServiceUnavailable
from shared.domain.lane import LANES_MAX
from shared.domain.scope import EVENTS_READ
from shared.domain.transfer import Ending, FailureCode
from shared.identifiers import event_name

router = APIRouter(tags=["events"], route_class=StrictRoute, generate_unique_id_function=operation_id)

PATH: Final = "/v1/events"
CURSOR_LANES_MAX: Final = LANES_MAX + 1
"""The one that is nobody's has numbers too."""


@router.get(
    PATH,
    summary="Read the feed of events",
    responses=problems.documented(NotAuthenticated, ScopeMissing, CursorInvalid, ServiceUnavailable),
)
async def get_events(
    caller: Annotated[Caller, needs(EVENTS_READ)],
    tx: InTransaction,
    types: Annotated[
        list[FeedType] | None, Query(max_length=len(webhook.FEED_TYPES), description="Which; else all of them.")
    ] = None,
    after: Annotated[str | None, Query(description="The `next_cursor` of the page before.")] = None,
    limit: Limit = 20,
) -> Response:
    """Read what happened to one's transfers and endpoints, oldest first: the very bodies that webhooks bring.

    There is always a `next_cursor`: keep it, and come back with it for what has happened since. `has_more` says that
    there may be more already, also behind a page that is short or empty. No event is ever skipped.
    """
    wanted = tuple(sorted(set(types or ())))
    listing = Listing(name="events", owner_id=str(caller.owner_id), filters=wanted)
    numbers = listing.position(after, read=_lane_numbers) or {}
    page = await read_feed(tx, caller.owner_id, after=numbers, types=wanted, limit=limit)
    found = await read_transfers(tx, {event.transfer_id for event in page.events if event.transfer_id is not None})
    bodies = [_body(event, found, viewer_id=caller.owner_id) for event in page.events]
    next_cursor = listing.cursor(",".join(f"{lane}:{number}" for lane, number in sorted(page.numbers.items())))
    query = urlencode({"types": types or [], "after": next_cursor, "limit": limit}, doseq=True)
    return Response(
        _feed(bodies, has_more=page.has_more, next_cursor=next_cursor),
        headers={"Link": f'<{PATH}?{query}>; rel="next"', "Cache-Control": "private, no-cache"},
        media_type="application/json",
    )


def _feed(bodies: list[bytes], **rest: Any) -> bytes:  # noqa: ANN401 (what JSON may hold)
    """Spell a page around bodies that are spelt already, byte for byte as webhooks bring them."""
    return b'{"data":[' + b",".join(bodies) + b"]," + wire.to_json(rest)[1:]


def _body(event: FeedEvent, found: Mapping[UUID, StandingTransfer], *, viewer_id: UUID) -> bytes:
    if event.transfer_id is None:
        return webhook.message(event_name(event.id), event_type=event.type, at=event.created_at, data=event.data or {})
    code = FailureCode(event.failure_code) if event.failure_code else None
    ending = Ending(failure_code=code, at=event.created_at)
    return webhook.body(
        event_name(event.id), transfer=found[event.transfer_id].transfer, ending=ending, viewer_id=viewer_id
    )


def _lane_numbers(text: str) -> dict[int, int]:
    """Read the last number of each lane: `1:17,2:4`.

    Raises:
        ValueError: It is not that.
    """
    pairs = [pair.split(":") for pair in text.split(",", CURSOR_LANES_MAX)]
    numbers = {number(lane): number(last) for lane, last in pairs}
    if max(numbers) > LANES_MAX:
        raise ValueError("there is no such lane")
    return numbers
