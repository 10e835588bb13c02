"""Give integration tests a ledger of their own, settings for an edge on it, and processes that die on it."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from cryptography.fernet import Fernet

from shared.settings import ApiSettings
from tests.crashing.walk import Crashing, stem
from tests.ledger import Ledger


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
