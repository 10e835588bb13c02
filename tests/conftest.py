"""Give tests real servers: PostgreSQL with a fresh database each, a broker, a whole running system."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import LiteralString

import psycopg
import pytest
import structlog
from psycopg import sql

from hishab.embedded import PrivateBroker, PrivatePostgres, find_broker
from hishab.ports import LOOPBACK, free_ports
from hishab.postgres_program import find_postgres
from tests.eventually import eventually
from tests.running_system import System, answers, lets_in, running, running_system, tail

MIGRATION_SECONDS_MAX = 60.0

# What tests kill is a process, never the machine: nothing here has to survive a power cut.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Have what is logged in this process told plainly: structlog would draw each traceback with all locals in it."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL without fsync, for this test process alone."""
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
            eventually(lambda: lets_in(server.url), otherwise=lambda: tail(log))
            yield server


@pytest.fixture(scope="session")
def template_database(postgres: PrivatePostgres) -> str:
    """The name of a migrated database, to be cloned and never to be connected to."""
    name = "hishab_template"
    _administer(postgres, "CREATE DATABASE {name}", name=name)
    subprocess.run(
        [sys.executable, "-m", "shared.database.migrate"],
        env={**os.environ, "HISHAB_DATABASE_URL": _url(postgres, name=name)},
        timeout=MIGRATION_SECONDS_MAX,
        check=True,
    )
    return name


@pytest.fixture
def database_url(postgres: PrivatePostgres, template_database: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    yield from _database(postgres, template=template_database)


@pytest.fixture
def empty_database_url(postgres: PrivatePostgres) -> Iterator[str]:
    """A database with nothing in it."""
    yield from _database(postgres, template="template1")


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for this test process alone. Shared by its tests: take a key prefix, or leave it empty."""
    place = tmp_path_factory.mktemp("broker")
    server = PrivateBroker(
        binary=find_broker(environment=os.environ), directory=place, port=free_ports(LOOPBACK)[0], password=token_hex()
    )
    server.make_ready()
    log = place / "broker.log"
    with running(server.part, out=log, log=log):
        eventually(lambda: answers(server.url), otherwise=lambda: tail(log))
        yield server.url


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """A whole running Hishab for this test process alone, its parts free to be killed."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        # So that what is logged of each transfer is there to be searched for what must not be.
        settings = {"HISHAB_LOG_TRANSFERS": "true"}
        with running_system(Path(directory) / "data", "--allow-local-webhooks", environment=settings) as system:
            yield system


def _database(postgres: PrivatePostgres, *, template: str) -> Iterator[str]:
    name = f"test_{token_hex(8)}"
    _administer(postgres, "CREATE DATABASE {name} TEMPLATE {template}", name=name, template=template)
    yield _url(postgres, name=name)
    _administer(postgres, "DROP DATABASE {name} WITH (FORCE)", name=name)


def _administer(postgres: PrivatePostgres, statement: LiteralString, **names: str) -> None:
    identifiers = {key: sql.Identifier(name) for key, name in names.items()}
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(**identifiers))


def _url(postgres: PrivatePostgres, *, name: str) -> str:
    return postgres.url.removesuffix("/postgres") + f"/{name}"
