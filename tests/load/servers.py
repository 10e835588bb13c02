"""Run the one PostgreSQL and the one broker that references and ours share, as `hishab up` would run them."""

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import psycopg
from psycopg import sql

from hishab.embedded import POSTGRES_USER, PrivateBroker, PrivatePostgres, find_broker
from hishab.ports import LOOPBACK, free_ports
from hishab.postgres_program import ENVIRONMENT, find_postgres
from tests.eventually import eventually
from tests.running_system import answers, descendants, lets_in, running, tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """PostgreSQL with its own defaults (fsync and synchronous_commit on), and Valkey.

    Attributes:
        place: A directory for whatever a run leaves behind; gone with it.
    """

    place: Path
    postgres: PrivatePostgres = field(repr=False)
    broker: PrivateBroker = field(repr=False)
    postmaster_pid: int

    @property
    def processes(self) -> set[int]:
        """Name the processes of PostgreSQL."""
        return {self.postmaster_pid, *descendants(self.postmaster_pid)}

    def database_url(self, name: str) -> str:
        """Where a database is reached, password included."""
        return self.postgres.url.removesuffix("/postgres") + f"/{name}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database, and say where it is. Nobody may be connected to the template."""
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def show(self, setting: str) -> str:
        """Read a setting of PostgreSQL, as its sessions have it by default."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
        assert row is not None
        return str(row[0])

    def pgbench(self, database: str, *words: str) -> tuple[list[str], dict[str, str]]:
        """Give the words that run pgbench on a database, and its environment."""
        program = str(self.postgres.program.binaries / "pgbench")
        where = ["-h", LOOPBACK, "-p", str(self.postgres.port), "-U", POSTGRES_USER]
        return [program, *where, *words, database], {**ENVIRONMENT, "PGPASSWORD": self.postgres.password}

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def serving(place: Path) -> Generator[Servers]:
    """Run both until the block is left."""
    postgres_port, broker_port = free_ports(LOOPBACK, LOOPBACK)
    postgres = PrivatePostgres(
        program=find_postgres(place, environment=os.environ),
        directory=place / "postgres",
        port=postgres_port,
        password=token_hex(),
    )
    broker = PrivateBroker(
        binary=find_broker(environment=os.environ),
        directory=place / "broker",
        port=broker_port,
        password=token_hex(),
    )
    with ExitStack() as stack:
        pids: list[int] = []
        for server in (postgres, broker):
            server.make_ready()
            log = place / f"{server.part.name}.log"
            pids.append(stack.enter_context(running(server.part, out=log, log=log)).pid)
        eventually(lambda: lets_in(postgres.url), otherwise=lambda: tail(place / "postgres.log"))
        eventually(lambda: answers(broker.url), otherwise=lambda: tail(place / "broker.log"))
        yield Servers(place=place, postgres=postgres, broker=broker, postmaster_pid=pids[0])
