"""Every kind of connection has the limits that its role is given, as PostgreSQL itself tells them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database.connections import (
    API,
    AUDIT,
    INTAKE,
    MIGRATION,
    WORKER,
    Timeouts,
    connect,
    connect_async,
    options,
)
from shared.database.engine import looking_engine, reading_engine
from shared.database.pool import intake_pool

READ: LiteralString = """
SELECT name, setting FROM pg_settings
WHERE name = ANY(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
                       'synchronous_commit', 'client_connection_check_interval', 'tcp_keepalives_idle',
                       'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout', 'TimeZone', 'jit'])
"""

# In milliseconds, and keepalives in seconds. Source: faults.md, section 2.2.
OF_ALL = {
    "synchronous_commit": "on",
    "client_connection_check_interval": "2000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "TimeZone": "UTC",
    "jit": "off",
}
API_LIMITS = ("5000", "2000", "5000")
WORKER_LIMITS = ("10000", "5000", "5000")


def with_limits(limits: tuple[str, str, str]) -> dict[str, str]:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return {**OF_ALL, **dict(zip(names, limits, strict=True))}


@pytest.mark.parametrize(
    ("timeouts", "limits"),
    [
        (WORKER, WORKER_LIMITS),
        (AUDIT, ("3600000", "5000", "60000")),
        (MIGRATION, ("3600000", "10000", "60000")),
    ],
)
def test_of_the_background(database_url: str, timeouts: Timeouts, limits: tuple[str, str, str]) -> None:
    with connect(database_url, application_name="test", timeouts=timeouts) as connection:
        assert dict(connection.execute(READ).fetchall()) == with_limits(limits)


@pytest.mark.anyio
async def test_of_accepting(database_url: str) -> None:
    async with intake_pool(database_url, size_max=1) as pool, pool.connection() as connection:
        assert dict(await (await connection.execute(READ)).fetchall()) == with_limits(API_LIMITS)


@pytest.mark.anyio
async def test_of_listening(database_url: str) -> None:
    async with await connect_async(database_url, application_name="test", timeouts=API) as connection:
        assert dict(await (await connection.execute(READ)).fetchall()) == with_limits(API_LIMITS)


@asynccontextmanager
async def disposed(engine: AsyncEngine) -> AsyncGenerator[AsyncEngine]:
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("of", ["reading", "looking"])
async def test_of_the_edge(database_url: str, of: str) -> None:
    engine = looking_engine(database_url) if of == "looking" else reading_engine(database_url, pool_size=1)
    async with disposed(engine), engine.connect() as connection:
        rows = (await connection.execute(text(READ))).all()
        assert {str(name): str(value) for name, value in rows} == with_limits(API_LIMITS)


@pytest.mark.parametrize("timeouts", [API, INTAKE, WORKER, AUDIT, MIGRATION])
def test_a_dead_server_is_noticed_on_this_side_too(database_url: str, timeouts: Timeouts) -> None:
    asked: dict[str, Any] = options("test", timeouts)
    with psycopg.connect(database_url, **asked) as connection:
        used = connection.info.get_parameters()
    wanted = {
        "connect_timeout": "5",
        "keepalives": "1",
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
    # What is libpq's default is not told.
    assert wanted.items() - used.items() <= {("keepalives", "1")}
