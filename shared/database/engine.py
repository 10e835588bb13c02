"""Make the edge's engine: SQLAlchemy over the same connections. Apart, since no other process needs SQLAlchemy."""

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.database.connections import API, options


def reading_engine(database_url: str, *, pool_size: int) -> AsyncEngine:
    """Make the edge's engine for everything but accepting."""
    return create_async_engine(
        make_url(database_url).set(drivername="postgresql+psycopg"),
        connect_args=options("hishab-api", API),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=API.statement_seconds,
        pool_pre_ping=True,
        pool_recycle=300,
        # The text of an error gets into logs: without names, emails and hashes.
        hide_parameters=True,
    )
