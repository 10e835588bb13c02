"""Give tests real servers: PostgreSQL with a fresh database each, a broker, a whole running system."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import structlog
from hypothesis import HealthCheck, settings

from hishab.embedded import PrivateBroker, PrivatePostgres, find_broker
from hishab.ports import LOOPBACK, free_ports
from tests.databases import Databases, forgetful_postgres
from tests.eventually import eventually
from tests.running_system import START_SECONDS_MAX, System, answers, running, running_system, tail

# How long an example takes says nothing of what it is about: the machine may have had other things to do.
settings.register_profile("any pace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any pace")


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
    with forgetful_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: PrivatePostgres) -> Databases:
    """Makes as many databases as are wanted."""
    return Databases.on(postgres.url)


@pytest.fixture(scope="session")
def template_database(databases: Databases) -> str:
    """The name of a migrated database, to be cloned and never to be connected to."""
    return databases.template


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with databases.fresh() as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.fresh(template="template1") as url:
        yield url


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
        eventually(lambda: answers(server.url), seconds_max=START_SECONDS_MAX, otherwise=lambda: tail(log))
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
