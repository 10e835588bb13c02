"""Say whether the process lives, and whether it can do its work."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from api.parts import FromParts, Parts
from shared.database.health import REVISION, read_oldest_seconds, read_revision
from shared.queue import broker_answers

router = APIRouter(tags=["health"])

STALE_SECONDS: Final = 10.0
"""A transfer that has waited longer says that nobody works its lane. Source: faults.md, F2."""

BROKER_SECONDS_MAX: Final = 0.5


@router.get("/livez")
async def get_livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "PostgreSQL is away, or its schema is not this version's."}})
async def get_readyz(parts: FromParts, response: Response) -> dict[str, Any]:
    """Say whether transfers can be accepted; what only delays them shows as `degraded`."""
    database, broker = await asyncio.gather(_database(parts), asyncio.to_thread(_broker, parts.settings.broker_url))
    ready = database.get("database") == "ok" and database.get("schema") == "ok"
    response.status_code = 200 if ready else 503
    response.headers["Cache-Control"] = "no-store"
    return {"status": "ok" if ready else "unavailable", "checks": {**database, "broker": broker}}


async def _database(parts: Parts) -> dict[str, str]:
    try:
        async with parts.engine.connect() as tx:
            revision = await read_revision(tx)
            oldest_seconds = await read_oldest_seconds(tx)
    except (SQLAlchemyError, OSError):
        return {"database": "unavailable"}
    return {
        "database": "ok",
        "schema": "ok" if revision == REVISION else f"is {revision}, should be {REVISION}",
        "lanes": "ok" if oldest_seconds < STALE_SECONDS else "degraded",
    }


def _broker(broker_url: str) -> str:
    return "ok" if broker_answers(broker_url, seconds_max=BROKER_SECONDS_MAX) else "degraded"
