"""Give integration tests a ledger of their own, and settings for an edge on it."""

from collections.abc import Generator

import pytest
from cryptography.fernet import Fernet

from shared.settings import ApiSettings
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
