"""Answer about a transfer: the record of its acceptance, and readings of how it stands, each with its headers."""

from collections.abc import Mapping
from typing import Any, Final, assert_never
from uuid import UUID

from fastapi import Response

from api.entity_tags import entity_tag, is_known
from api.security_headers import Header
from shared.database.transfers import StandingTransfer
from shared.domain import wire
from shared.domain.acceptance import Acceptance, Accepted, Refused
from shared.domain.transfer import Ending, Transfer

RETRY_SECONDS: Final = "1"
RETRY_SOON: Final[Header] = (b"retry-after", RETRY_SECONDS.encode())
REPLAYED: Final[Header] = (b"idempotent-replayed", b"true")

CACHED_BY_CALLER: Final = {"Cache-Control": "private, no-cache"}


def accepted(acceptance: Acceptance, *, key: str, waited: Mapping[str, str] = {}) -> Response:
    """Answer with the record of an acceptance, the same bytes at every replay.

    Raises:
        RequestRefused: It was not accepted.
    """
    match acceptance:
        case Accepted(transfer=transfer, replayed=replayed):
            record = wire.acceptance(transfer)
            response = Response(wire.to_json(record), status_code=202, headers=waited, media_type="application/json")
            # The bytes that go out, with no dictionary of texts in between (docs/decisions/0042).
            response.raw_headers += (
                *_place(record, key=key),
                RETRY_SOON,
                *((REPLAYED,) if replayed else ()),
            )
            return response
        case Refused(reason=reason):
            raise reason
        case _:
            assert_never(acceptance)


def accepted_and_ended(transfer: Transfer, *, ending: Ending, key: str, waited: Mapping[str, str]) -> Response:
    """Answer its payer with how a transfer ended while its acceptance was held back."""
    shown = show(StandingTransfer(transfer=transfer, ending=ending), viewer_id=transfer.owner_id)
    response = Response(wire.to_json(shown), headers=waited, media_type="application/json")
    response.raw_headers += _place(shown, key=key)
    return response


def reading(
    standing: StandingTransfer, *, viewer_id: UUID, if_none_match: str | None, waited: Mapping[str, str]
) -> Response:
    """Answer with how a transfer stands, or with 304 where the caller knows that already."""
    tag = entity_tag(standing.version)
    headers = {"ETag": tag, **CACHED_BY_CALLER, **waited}
    if standing.ending is None:
        headers["Retry-After"] = RETRY_SECONDS
    if is_known(tag, if_none_match=if_none_match):
        return Response(status_code=304, headers=headers)
    body = wire.to_json(show(standing, viewer_id=viewer_id))
    return Response(body, headers=headers, media_type="application/json")


def show(standing: StandingTransfer, *, viewer_id: UUID) -> dict[str, Any]:
    """Show one of its two owners how a transfer stands."""
    return wire.reading(standing.transfer, ending=standing.ending, viewer_id=viewer_id)


def _place(shown: Mapping[str, Any], *, key: str) -> tuple[Header, Header]:
    return (b"location", shown["links"]["self"].encode()), (b"idempotency-key", key.encode())
