"""Say whether the process lives, whether it can do its work, and what is stuck behind it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import APIRouter, Response

from api.looks import Look
from api.operations import operation_id
from api.parts import FromParts, Parts
from shared.database.health import REVISION, LaneState, Seen
from shared.queue import broker_answers

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)

BROKER_SECONDS_MAX: Final = 0.5

UPKEEP_SECONDS_MAX: Final = 20.0
"""Upkeep notes a sweep every five seconds, and may spend ten in a lane in trouble."""

DELIVERIES_SECONDS_MAX: Final = 60.0
"""Longer than a webhook worker that was killed is missed: what it held is due again when its leases end."""


@router.get("/livez", summary="Is the process alive?")
async def get_livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can transfers be accepted?",
    responses={503: {"description": "PostgreSQL is away, or its schema is not this version's; or it is stopping."}},
)
async def get_readyz(parts: FromParts, response: Response) -> dict[str, Any]:
    """Say whether transfers can be accepted; what only delays them shows as `degraded`, and what is `stuck`."""
    found, broker = await asyncio.gather(parts.looks.latest(), asyncio.to_thread(_broker, parts))
    stuck = list(_stuck(found.seen.lanes, stalled_seconds=parts.settings.stalled_seconds)) if found.seen else []
    checks = {**_checks(found, stuck=stuck), "broker": broker}
    ready = found.seen is not None and not parts.endings.is_stopping
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    if not ready:
        response.headers["Retry-After"] = "1"
        return {"status": "unavailable", "checks": checks, "stuck": stuck}
    status = "ok" if all(check == "ok" for check in checks.values()) else "degraded"
    return {"status": status, "checks": checks, "stuck": stuck}


def _checks(found: Look, *, stuck: Sequence[dict[str, Any]]) -> dict[str, str]:
    if found.revision is None:
        return {"database": "unavailable"}
    if found.seen is None:
        return {"database": "ok", "schema": f"is {found.revision}, should be {REVISION}"}
    is_stopped = any(lane["reason"] == "stopped" for lane in stuck)
    return {
        "database": "ok",
        "schema": "ok",
        "lanes": "stopped" if is_stopped else "degraded" if stuck else "ok",
        "upkeep": "ok" if _upkeep_works(found.seen) else "degraded",
        "deliveries": "ok" if _deliveries_go_out(found.seen) else "degraded",
    }


def _stuck(lanes: Sequence[LaneState], *, stalled_seconds: float) -> Iterator[dict[str, Any]]:
    """Name the lanes whose head has waited too long, and why: a defect, nobody who works it, or too much to do."""
    for lane in lanes:
        if not lane.stopped and lane.oldest_seconds < stalled_seconds:
            continue
        goes_on = lane.last_applied_at is not None and lane.applied_seconds_ago < stalled_seconds
        yield {
            "lane": lane.lane,
            "reason": "stopped" if lane.stopped else "behind" if goes_on else "stalled",
            "queued": lane.queued,
            "oldest_queued_seconds": round(lane.oldest_seconds, 3),
        }


def _upkeep_works(seen: Seen) -> bool:
    return seen.swept_seconds_ago is not None and seen.swept_seconds_ago < UPKEEP_SECONDS_MAX


def _deliveries_go_out(seen: Seen) -> bool:
    """Say whether endpoints that answer get what is due to them; those that do not are their owners' business."""
    return all(due.failing or due.oldest_seconds < DELIVERIES_SECONDS_MAX for due in seen.deliveries)


def _broker(parts: Parts) -> str:
    return "ok" if broker_answers(parts.settings.broker_url, seconds_max=BROKER_SECONDS_MAX) else "degraded"
