"""Give journeys people and an operator: new people for each test, since the system is shared."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.callers import Person, operating, signed_up
from tests.running_system import System


@pytest.fixture
def payer(system: System) -> Iterator[Person]:
    """Somebody with 5,000.00 taka."""
    with signed_up(system) as person:
        yield person


@pytest.fixture
def payee(system: System) -> Iterator[Person]:
    """Somebody else with 5,000.00 taka."""
    with signed_up(system) as person:
        yield person


@pytest.fixture
def operator(system: System) -> Iterator[httpx2.Client]:
    """A connection with an operator's key."""
    with operating(system) as http:
        yield http
