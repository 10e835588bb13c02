"""Make the edge's engine: SQLAlchemy over the same connections. Apart, since no other process needs SQLAlchemy."""

from typing import Final

from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.database.connections import API, connect_async

LOOKING_CONNECTIONS: Final = 3
"""Each look is by a key and takes a millisecond or two."""


def reading_engine(database_url: str, *, pool_size: int) -> AsyncEngine:
    """Make the edge's engine for everything but accepting and `looking_engine`'s looks."""
    return _engine(database_url, application_name="hishab-api", pool_size=pool_size)


def looking_engine(database_url: str) -> AsyncEngine:
    """Make the edge's engine for what all else waits for, so that nobody's slow lists keep it waiting."""
    return _engine(database_url, application_name="hishab-looks", pool_size=LOOKING_CONNECTIONS)


def _engine(database_url: str, *, application_name: str, pool_size: int) -> AsyncEngine:
    async def connect() -> AsyncConnection:
        return await connect_async(database_url, application_name=application_name, timeouts=API, autocommit=False)

    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=API.statement_seconds,
        pool_pre_ping=True,
        pool_recycle=300,
        # The text of an error gets into logs: without names, emails and hashes.
        hide_parameters=True,
    )
