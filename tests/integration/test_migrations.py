"""Hold migrations to the declaration, and the database itself to the rules that no code of ours may break."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final, LiteralString
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg import errors, sql
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from hishab.embedded import PrivatePostgres
from shared.database import migrations
from shared.database.health import REVISION
from shared.database.migrate import upgrade
from shared.database.tables import METADATA
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id

MIGRATION_SECONDS_MAX: Final = 60.0

# What the tables are made of, by name and in PostgreSQL's own words. Alembic's comparison is blind to checks,
# sequences and storage parameters.
CATALOG: Final[tuple[LiteralString, ...]] = (
    """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass ORDER BY 1, 2
    """,
    """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1
    """,
    """
    SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2
    """,
    """
    SELECT relname, reloptions, obj_description(oid) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version' ORDER BY 1
    """,
    "SELECT sequencename, data_type::text, start_value, increment_by, cache_size, cycle FROM pg_sequences ORDER BY 1",
)


@contextmanager
def new_database(postgres: PrivatePostgres, *, template: str) -> Generator[str]:
    """Make a database from another, and drop it afterwards."""
    name = f"test_{token_hex(8)}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(postgres.url, autocommit=True) as administrator:
        administrator.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
        yield postgres.url.removesuffix("/postgres") + f"/{name}"
        administrator.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@pytest.fixture(scope="module")
def connection(postgres: PrivatePostgres, template_database: str) -> Iterator[psycopg.Connection]:
    """A connection to a migrated database that refuses nearly everything here; each statement stands by itself."""
    with (
        new_database(postgres, template=template_database) as database_url,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        yield connection


def engine(database_url: str) -> Engine:
    return create_engine(make_url(database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


def catalog(database_url: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(database_url) as connection:
        # So that its name can be left out, also where there is none.
        connection.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num text)")
        return [connection.execute(statement).fetchall() for statement in CATALOG]


def contents(database_url: str) -> list[tuple[object, ...]]:
    """Read what migrating puts into the tables."""
    with psycopg.connect(database_url) as connection:
        return [
            *connection.execute("SELECT lane, event_number FROM lanes ORDER BY lane").fetchall(),
            *connection.execute("SELECT code, exponent FROM currencies ORDER BY code").fetchall(),
            *connection.execute("SELECT id, currency FROM wallets ORDER BY id").fetchall(),
            *connection.execute("SELECT version_num FROM alembic_version").fetchall(),
        ]


class TestMigrations:
    def test_lead_to_what_is_declared(self, database_url: str, empty_database_url: str) -> None:
        with engine(database_url).connect() as migrated:
            context = MigrationContext.configure(
                migrated, opts={"compare_type": True, "compare_server_default": True, "target_metadata": METADATA}
            )
            assert compare_metadata(context, METADATA) == []
        METADATA.create_all(engine(empty_database_url))
        assert catalog(database_url) == catalog(empty_database_url)

    def test_change_nothing_the_second_time(self, database_url: str) -> None:
        before = contents(database_url)
        upgrade(database_url, lane_count=3)
        assert contents(database_url) == before
        assert before[-1] == (REVISION,)

    def test_make_as_many_lanes_as_are_asked_for_and_one_that_is_nobodys(self, empty_database_url: str) -> None:
        upgrade(empty_database_url, lane_count=3)
        assert contents(empty_database_url)[:4] == [(0, 0), (1, 0), (2, 0), (3, 0)]

    def test_say_of_old_events_whom_they_concern(self, empty_database_url: str) -> None:
        """What 0002 adds to events that an earlier version wrote."""
        payer_id, payee_id, transfer_ids = new_id(), new_id(), [new_id(), new_id(), new_id()]
        configuration = Config()
        configuration.set_main_option("script_location", str(Path(migrations.__file__).parent))
        with engine(empty_database_url).begin() as configuration.attributes["connection"]:
            command.upgrade(configuration, "0001")
        with psycopg.connect(empty_database_url) as connection:
            connection.execute("INSERT INTO lanes (lane, event_number) VALUES (0, 0), (1, 3)")
            for number, (transfer_id, told) in enumerate(
                zip(transfer_ids, (payee_id, payee_id, payer_id), strict=True)
            ):
                connection.execute(
                    "INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id,"
                    " destination_wallet_id, amount, currency, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, 1, 'CZK', now())",
                    [transfer_id, 7 + number, payer_id, told, new_id(), new_id()],
                )
                code = "insufficient_funds" if number == 1 else None
                connection.execute(
                    "INSERT INTO events (id, lane, number, type, transfer_id, version, failure_code, created_at)"
                    " VALUES (%s, 1, %s, %s, %s, 2, %s, now())",
                    [new_id(), number + 1, "transfer.failed" if code else "transfer.succeeded", transfer_id, code],
                )
        upgrade(empty_database_url, lane_count=1)
        with psycopg.connect(empty_database_url) as connection:
            events = connection.execute("SELECT owner_id, destination_owner_id, position FROM events ORDER BY number")
            assert events.fetchall() == [(payer_id, payee_id, 7), (payer_id, None, 8), (payer_id, None, 9)]
            lanes = connection.execute("SELECT lane, newest_position FROM lanes ORDER BY lane")
            assert lanes.fetchall() == [(0, 0), (1, 9)]
            with pytest.raises(errors.IntegrityConstraintViolation, match="append-only"):
                connection.execute("DELETE FROM events")

    def test_take_turns_where_two_start_at_once(self, empty_database_url: str) -> None:
        environment = {**os.environ, "HISHAB_DATABASE_URL": empty_database_url}
        command = [sys.executable, "-m", "shared.database.migrate"]
        processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
        assert [process.wait(MIGRATION_SECONDS_MAX) for process in processes] == [0, 0]
        assert contents(empty_database_url)[:2] == [(0, 0), (1, 0)]

    def test_give_every_currency_a_wallet_that_issues_it(self, connection: psycopg.Connection) -> None:
        rows = connection.execute(
            "SELECT code, exponent, balance, floor, owner_id"
            " FROM currencies LEFT JOIN wallets ON code = currency AND kind = 'issuance'"
        ).fetchall()
        assert len(rows) == len({code for code, *_ in rows}) > 150
        assert {tuple(wallet) for _, _, *wallet in rows} == {(0, None, OPERATORS_OWNER_ID)}
        exponents = {code: exponent for code, exponent, *_ in rows}
        assert {code: exponents[code] for code in ("BDT", "CZK", "JPY", "KWD", "CLF")} == {
            "BDT": 2,
            "CZK": 2,
            "JPY": 0,
            "KWD": 3,
            "CLF": 4,
        }


class TestFacts:
    @pytest.mark.parametrize("table", ["transfers", "entries", "events"])
    @pytest.mark.parametrize("statement", ["UPDATE {} SET created_at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
    def test_are_never_changed(self, connection: psycopg.Connection, table: str, statement: LiteralString) -> None:
        with pytest.raises(errors.IntegrityConstraintViolation, match="append-only") as raised:
            connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
        assert raised.value.diag.constraint_name == "facts_are_kept"

    @pytest.mark.parametrize("statement", ["DELETE FROM wallets", "TRUNCATE wallets"])
    def test_include_that_there_is_a_wallet(self, connection: psycopg.Connection, statement: LiteralString) -> None:
        with pytest.raises(errors.IntegrityConstraintViolation, match="append-only"):
            connection.execute(statement)


Entries = list[tuple[UUID, int, UUID, int]]
"""Rows of wallet, number, transfer and amount."""

Write = Callable[[psycopg.Connection, Entries], None]


def entries(*amounts: int, transfers: int = 1) -> Entries:
    """Make an entry for each amount, each on a wallet of its own, dealt out over so many transfers."""
    transfer_ids = [new_id() for _ in range(transfers)]
    return [(new_id(), 1, transfer_ids[n % transfers], amount) for n, amount in enumerate(amounts)]


def insert(connection: psycopg.Connection, rows: Entries) -> None:
    """Insert rows in one statement."""
    connection.execute(
        "INSERT INTO entries (wallet_id, number, transfer_id, amount, balance_after, created_at)"
        " SELECT *, 0, now() FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::bigint[])",
        [list(column) for column in zip(*rows, strict=True)],
    )


def copy(connection: psycopg.Connection, rows: Entries) -> None:
    """Write rows as a lane does."""
    statement = "COPY entries (wallet_id, number, transfer_id, amount, balance_after, created_at) FROM STDIN"
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(statement) as copied:
        for row in rows:
            copied.write_row((*row, 0, "2026-01-01"))


def count(connection: psycopg.Connection, rows: Entries) -> int:
    """Count those of the rows that are there."""
    statement = "SELECT count(*) FROM entries WHERE wallet_id = ANY(%s)"
    (found,) = connection.execute(statement, [[wallet_id for wallet_id, *_ in rows]]).fetchone() or (0,)
    return found


@pytest.mark.parametrize("write", [insert, copy])
class TestEntries:
    @pytest.mark.parametrize(("amounts", "transfers"), [((-5, 5), 1), ((-5, 7, 5, -7), 2)])
    def test_that_sum_to_zero_are_taken(
        self, connection: psycopg.Connection, write: Write, amounts: tuple[int, ...], transfers: int
    ) -> None:
        rows = entries(*amounts, transfers=transfers)
        write(connection, rows)
        assert count(connection, rows) == len(rows)

    @pytest.mark.parametrize(
        ("amounts", "transfers"),
        [
            ((5,), 1),
            ((-5, 4), 1),
            ((-5, 5, 1), 1),
            ((-5, 5, 5, 5), 2),
            # Of two transfers one gains what the other loses.
            ((-5, -4, 4, 5), 2),
        ],
    )
    def test_that_do_not_sum_to_zero_are_refused(
        self, connection: psycopg.Connection, write: Write, amounts: tuple[int, ...], transfers: int
    ) -> None:
        rows = entries(*amounts, transfers=transfers)
        with pytest.raises(errors.CheckViolation) as raised:
            write(connection, rows)
        assert raised.value.diag.constraint_name == "entries_sum_to_zero"
        assert count(connection, rows) == 0

    def test_of_one_transfer_come_together(self, connection: psycopg.Connection, write: Write) -> None:
        """Not the one half now and the other later, not even in one transaction."""

        def write_one_after_the_other() -> None:
            with connection.transaction():
                for row in entries(-5, 5):
                    write(connection, [row])

        with pytest.raises(errors.CheckViolation):
            write_one_after_the_other()

    def test_come_once(self, connection: psycopg.Connection, write: Write) -> None:
        """G2: the same transfer on the same wallet, under another number."""
        rows = entries(-5, 5)
        write(connection, rows)
        with pytest.raises(errors.UniqueViolation) as raised:
            write(connection, [(wallet_id, 2, transfer_id, amount) for wallet_id, _, transfer_id, amount in rows])
        assert raised.value.diag.constraint_name == "entries_transfer_id_wallet_id_key"


class TestWallets:
    @pytest.fixture
    def wallet_id(self, connection: psycopg.Connection) -> UUID:
        """A wallet that holds 10 and may hold no less than 0."""
        wallet_id = new_id()
        connection.execute(
            "INSERT INTO wallets (id, owner_id, kind, currency, external_id, balance, floor, entry_count, created_at)"
            " VALUES (%s, %s, 'operator', 'CZK', %s, 10, 0, 0, now())",
            [wallet_id, OPERATORS_OWNER_ID, str(wallet_id)],
        )
        return wallet_id

    def test_go_down_to_their_floor_and_no_further(self, connection: psycopg.Connection, wallet_id: UUID) -> None:
        connection.execute("UPDATE wallets SET balance = 0 WHERE id = %s", [wallet_id])
        with pytest.raises(errors.CheckViolation) as raised:
            connection.execute("UPDATE wallets SET balance = -1 WHERE id = %s", [wallet_id])
        assert raised.value.diag.constraint_name == "wallets_balance_not_below_floor"

    @pytest.mark.parametrize("sign", [1, -1])
    def test_keep_to_the_limit_both_ways(self, connection: psycopg.Connection, wallet_id: UUID, sign: int) -> None:
        update = "UPDATE wallets SET balance = %s, floor = %s WHERE id = %s"
        connection.execute(update, [sign * 10**18, -(2**63), wallet_id])
        with pytest.raises(errors.CheckViolation) as raised:
            connection.execute(update, [sign * (10**18 + 1), -(2**63), wallet_id])
        assert raised.value.diag.constraint_name == "wallets_balance_within_limit"

    def test_have_a_floor_unless_they_issue_money(self, connection: psycopg.Connection, wallet_id: UUID) -> None:
        with pytest.raises(errors.CheckViolation) as raised:
            connection.execute("UPDATE wallets SET floor = NULL WHERE id = %s", [wallet_id])
        assert raised.value.diag.constraint_name == "wallets_only_issuance_without_floor"

    def test_issue_one_currency_each(self, connection: psycopg.Connection) -> None:
        with pytest.raises(errors.UniqueViolation) as raised:
            connection.execute(
                "INSERT INTO wallets (id, owner_id, kind, currency, balance, entry_count, created_at)"
                " VALUES (%s, %s, 'issuance', 'CZK', 0, 0, now())",
                [new_id(), OPERATORS_OWNER_ID],
            )
        assert raised.value.diag.constraint_name == "wallets_issuance_currency_key"
