"""Answer about a batch: the record of its acceptance, and readings of how it stands, each with its headers."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from fastapi import Response

from api.entity_tags import entity_tag, is_known
from api.transfers.answers import CACHED_BY_CALLER, RETRY_SECONDS
from shared.domain import wire
from shared.domain.acceptance import AcceptedBatch
from shared.domain.batch import StandingBatch

JSON: Final = "application/json"


def accepted(acceptance: AcceptedBatch, *, key: str, waited: Mapping[str, str] = {}) -> Response:
    """Answer with the record of an acceptance, the same bytes at every replay."""
    headers = {**_place(acceptance.batch.id, key=key), "Retry-After": RETRY_SECONDS, **waited}
    if acceptance.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(wire.batch_acceptance(acceptance.batch), status_code=202, headers=headers, media_type=JSON)


def accepted_and_completed(standing: StandingBatch, *, key: str, waited: Mapping[str, str]) -> Response:
    """Answer with how a batch stands whose transfers all ended while its acceptance was held back."""
    headers = {**_place(standing.id, key=key), **waited}
    return Response(wire.to_json(wire.batch_reading(standing)), headers=headers, media_type=JSON)


def reading(standing: StandingBatch, *, if_none_match: str | None, waited: Mapping[str, str]) -> Response:
    """Answer with how a batch stands, or with 304 where the caller knows that already."""
    tag = entity_tag(standing.version)
    headers = {"ETag": tag, **CACHED_BY_CALLER, **waited}
    if standing.queued:
        headers["Retry-After"] = RETRY_SECONDS
    if is_known(tag, if_none_match=if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(wire.to_json(wire.batch_reading(standing)), headers=headers, media_type=JSON)


def _place(batch_id: UUID, *, key: str) -> dict[str, str]:
    return {"Location": f"/v1/transfer-batches/{batch_id}", "Idempotency-Key": key}
