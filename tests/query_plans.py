"""See how PostgreSQL goes about a statement: which tables it reads as a whole, and how many rows it looks at."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from hishab.embedded import PrivatePostgres
from shared.database.connections import WORKER, connect
from shared.database.engine import reading_engine

LARGE: Final = frozenset(
    {"transfers", "transfer_batches", "entries", "events", "wallets", "users"}
    | {"api_keys", "sessions", "refresh_tokens", "login_failures"}
    | {"webhook_endpoints", "webhook_deliveries", "webhook_attempts"}
)
"""Tables that grow with every customer, or with every transfer."""

UNWANTED: Final = ("Rows Removed by Filter", "Rows Removed by Index Recheck")

LEAVE_ALONE: Final = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', name);
    END LOOP;
END $$
"""
PARAMETER: Final = re.compile(r"%\((\w+)\)[sbt]")
COUNT_LOOKED_AT: Final = "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables"

Read = Callable[[AsyncConnection], Awaitable[object]]
Sent = tuple[str, Mapping[str, Any]]
Bounded = tuple[LiteralString, Mapping[str, Any], int]
"""A statement, what it is given, and how many rows it may look at."""


@contextmanager
def filled(postgres: PrivatePostgres, template_database: str, statements: Sequence[LiteralString]) -> Generator[str]:
    """Fill a database of its own for whoever looks at plans, and give its URL."""
    names = {"name": sql.Identifier(f"test_{token_hex(8)}"), "template": sql.Identifier(template_database)}
    with psycopg.connect(postgres.url, autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
        url = postgres.url.removesuffix("/postgres") + f"/{names['name'].as_string().strip(chr(34))}"
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
        yield url
        administrator.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@contextmanager
def planned_early(
    postgres: PrivatePostgres,
    template_database: str,
    rows: Sequence[LiteralString],
    statements: Mapping[str, Bounded],
) -> Generator[psycopg.Connection]:
    """Have statements planned in an empty database, once and for all; fill it, and give the connection with the plans.

    As by whoever accepts, applies or delivers. Nothing is analyzed: that would have them planned anew.
    """
    with (
        filled(postgres, template_database, [LEAVE_ALONE]) as url,
        connect(url, application_name="test", timeouts=WORKER) as connection,
    ):
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for name, (statement, parameters, _) in statements.items():
            numbers = {parameter: f"${n}" for n, parameter in enumerate(parameters, start=1)}
            numbered = PARAMETER.sub(lambda found, numbers=numbers: numbers[found[1]], statement).replace("%%", "%")
            prepare = sql.SQL("PREPARE {} AS ").format(sql.Identifier(name)).as_bytes(connection)
            connection.execute(prepare + numbered.encode())
        _keep_plans(connection, statements)
        with psycopg.connect(url, autocommit=True) as filling:
            for fill in rows:
                if fill != "ANALYZE":
                    filling.execute(fill)
                    # Or the session, idle for so long, would have forgotten them in the end.
                    _keep_plans(connection, statements)
        yield connection


def looked_at_by(connection: psycopg.Connection, name: str, parameters: Mapping[str, Any]) -> int:
    """Run a statement by the plan that the connection has, say how many rows it looks at, and undo it."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        # Not by psycopg's own, which forgets prepared statements when it rolls back.
        connection.pgconn.exec_(b"BEGIN")
        before = cursor.execute(COUNT_LOOKED_AT).fetchone() or 0
        connection.execute(_executed(name, list(parameters.values()), how="EXECUTE"))
        after = cursor.execute(COUNT_LOOKED_AT).fetchone() or 0
        connection.pgconn.exec_(b"ROLLBACK")
        return after - before


def _keep_plans(connection: psycopg.Connection, statements: Mapping[str, Bounded]) -> None:
    for name, (_, parameters, _) in statements.items():
        connection.execute(_executed(name, [None] * len(parameters), how="EXPLAIN EXECUTE"))


def _executed(name: str, values: Sequence[object], *, how: LiteralString) -> sql.Composed:
    literals = sql.SQL(", ").join(map(sql.Literal, values))
    return sql.SQL("{} {} ({})").format(sql.SQL(how), sql.Identifier(name), literals)


def sent_by(database_url: str, read: Read) -> list[Sent]:
    """Run a function, and catch its statements and what they are given. Nothing of what it writes stays."""
    statements: list[Sent] = []

    def catch(_connection: object, _cursor: object, statement: str, parameters: dict[str, Any], *_: object) -> None:
        statements.append((statement, parameters))

    async def run() -> None:
        engine = reading_engine(database_url, pool_size=1)
        event.listen(engine.sync_engine, "before_cursor_execute", catch)
        async with engine.connect() as tx:
            await read(tx)
        await engine.dispose()

    asyncio.run(run())
    assert statements
    return statements


def complaints(
    connection: psycopg.Connection, statement: str, parameters: Mapping[str, Any], *, scanned_max: int
) -> list[str]:
    """Run a statement, say what is wrong with how it was done, and undo it."""
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode()
    with connection.transaction(force_rollback=True):
        ((explained,),) = connection.execute(explain, parameters).fetchall()
    found = list(nodes(explained[0]["Plan"]))
    touching = [node for node in found if "Relation Name" in node]
    assert touching
    scans = [node for node in touching if node["Node Type"] != "ModifyTable"]
    wrong = [
        f"reads all of {scan['Relation Name']}"
        for scan in scans
        if scan["Node Type"] == "Seq Scan" and scan["Relation Name"] in LARGE
    ]
    rows = sum(map(looked_at, scans)) + sum(map(tried, found))
    return [*wrong, *([f"looks at {rows} rows, which is more than {scanned_max}"] if rows > scanned_max else [])]


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Find all steps of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def looked_at(scan: Mapping[str, Any]) -> int:
    """Say how many rows were looked at, whether they were wanted or not."""
    return round(scan["Actual Loops"] * (scan["Actual Rows"] + sum(scan.get(name, 0) for name in UNWANTED)))


def tried(node: Mapping[str, Any]) -> int:
    """Say how many rows a join has put side by side in vain, as one does that compares each with each."""
    return round(node["Actual Loops"] * node.get("Rows Removed by Join Filter", 0))
