"""Say whether the process lives, and whether it can do its work."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from api.operations import operation_id
from api.parts import FromParts, Parts
from shared.database.health import REVISION, read_lanes, read_revision
from shared.queue import broker_answers

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)

STALE_SECONDS: Final = 10.0
"""A transfer that has waited longer says that nobody works its lane. Source: faults.md, F2."""

BROKER_SECONDS_MAX: Final = 0.5
DATABASE_SECONDS_MAX: Final = 2.0


@router.get("/livez", summary="Is the process alive?")
async def get_livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can transfers be accepted?",
    responses={503: {"description": "PostgreSQL is away, or its schema is not this version's."}},
)
async def get_readyz(parts: FromParts, response: Response) -> dict[str, Any]:
    """Say whether transfers can be accepted; what only delays them shows as `degraded`."""
    database, broker = await asyncio.gather(_database(parts), asyncio.to_thread(_broker, parts))
    ready = database.get("database") == "ok" and database.get("schema") == "ok"
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return {"status": "ok" if ready else "unavailable", "checks": {**database, "broker": broker}}


async def _database(parts: Parts) -> dict[str, str]:
    looking = asyncio.create_task(_look(parts))
    # Not a time limit that cancels: a frozen server would keep the cancelling waiting too.
    done, _ = await asyncio.wait({looking}, timeout=DATABASE_SECONDS_MAX)
    if not done:
        looking.cancel()
        return {"database": "unavailable"}
    return looking.result()


async def _look(parts: Parts) -> dict[str, str]:
    try:
        async with parts.looking_engine.connect() as tx:
            revision = await read_revision(tx)
            lanes = await read_lanes(tx)
    except (SQLAlchemyError, OSError):
        return {"database": "unavailable"}
    return {
        "database": "ok",
        "schema": "ok" if revision == REVISION else f"is {revision}, should be {REVISION}",
        "lanes": "stopped" if lanes.stopped else "ok" if lanes.oldest_seconds < STALE_SECONDS else "degraded",
    }


def _broker(parts: Parts) -> str:
    return "ok" if broker_answers(parts.settings.broker_url, seconds_max=BROKER_SECONDS_MAX) else "degraded"
