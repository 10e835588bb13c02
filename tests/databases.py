"""Run a PostgreSQL for tests, and make migrated databases in it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from hishab.embedded import PrivatePostgres
from hishab.ports import LOOPBACK, free_ports
from hishab.postgres_program import find_postgres
from tests.eventually import eventually
from tests.running_system import START_SECONDS_MAX, lets_in, running, tail

MIGRATION_SECONDS_MAX: Final = 60.0

# What tests kill is a process, never the machine: nothing here has to survive a power cut.
FORGETFUL: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def forgetful_postgres() -> Generator[PrivatePostgres]:
    """Run a PostgreSQL without fsync until the block is left."""
    # Not pytest's own directory, which root would hide from the user nobody, as whom PostgreSQL may have to run.
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        place = Path(directory)
        server = PrivatePostgres(
            program=find_postgres(place, environment=os.environ),
            directory=place / "postgres",
            port=free_ports(LOOPBACK)[0],
            password=token_hex(),
            settings=FORGETFUL,
        )
        server.make_ready()
        log = place / "postgres.log"
        with running(server.part, out=log, log=log):
            eventually(lambda: lets_in(server.url), seconds_max=START_SECONDS_MAX, otherwise=lambda: tail(log))
            yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """Makes databases by cloning one that is migrated, to which nobody may be connected."""

    server_url: str = field(repr=False)
    template: str = "hishab_template"

    @classmethod
    def on(cls, server_url: str) -> "Databases":
        """Migrate the one that is cloned."""
        databases = cls(server_url=server_url)
        databases._administer("CREATE DATABASE {name}", name=databases.template)
        subprocess.run(
            [sys.executable, "-m", "shared.database.migrate"],
            env={**os.environ, "HISHAB_DATABASE_URL": databases._url(databases.template)},
            timeout=MIGRATION_SECONDS_MAX,
            check=True,
        )
        return databases

    @contextmanager
    def fresh(self, *, template: str | None = None) -> Generator[str]:
        """Make a database, migrated unless it is to be like another, and drop it when the block is left."""
        name = f"test_{token_hex(8)}"
        self._administer("CREATE DATABASE {name} TEMPLATE {template}", name=name, template=template or self.template)
        try:
            yield self._url(name)
        finally:
            self._administer("DROP DATABASE {name} WITH (FORCE)", name=name)

    def _administer(self, statement: LiteralString, **names: str) -> None:
        identifiers = {key: sql.Identifier(name) for key, name in names.items()}
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(**identifiers))

    def _url(self, name: str) -> str:
        return self.server_url.removesuffix("/postgres") + f"/{name}"
