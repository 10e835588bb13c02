"""Give integration tests a ledger of their own, settings for an edge on it, and processes that die on it."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from subprocess import Popen

import psycopg
import pytest
from cryptography.fernet import Fernet

from hishab.embedded import PrivatePostgres
from shared.settings import ApiSettings
from tests.crashing.walk import Crashing, stem
from tests.integration.large_ledger import LEDGER
from tests.ledger import Ledger
from tests.query_plans import filled


@pytest.fixture
def ledger(database_url: str) -> Generator[Ledger]:
    ledger = Ledger.on(database_url)
    with ledger.connection:
        yield ledger


@pytest.fixture
def api_settings(database_url: str) -> ApiSettings:
    """What the edge needs to know; there is no broker."""
    return ApiSettings(
        database_url=database_url,
        broker_url="redis://127.0.0.1:1/0",
        token_keys=(("a", bytes(32)),),
        pin_pepper=bytes(32),
        webhook_secret_keys=(Fernet.generate_key().decode(),),
    )


@pytest.fixture(scope="session")
def large_ledger(postgres: PrivatePostgres, template_database: str) -> Iterator[str]:
    """A database with a ledger of some size, only to be looked at."""
    with filled(postgres, template_database, LEDGER) as url:
        yield url


@pytest.fixture(scope="session")
def large_connection(large_ledger: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(large_ledger, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def forking() -> "Iterator[tuple[Popen[str], Path]]":
    """What forks whoever is killed, for this test process alone."""
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        log = Path(directory) / "stem.log"
        with stem(log) as process:
            yield process, log


@pytest.fixture
def crashing(ledger: Ledger, tmp_path: Path, forking: "tuple[Popen[str], Path]") -> Crashing:
    process, log = forking
    return Crashing(ledger=ledger, place=tmp_path, stem=process, log=log)
