"""Fill the queue while nobody may work it, then let go: applying is measured alone, over exactly so many transfers."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice

import psycopg

from shared.clock import monotonic_seconds
from shared.database.acceptance import accept
from shared.database.connections import INTAKE, connect_async
from shared.domain.acceptance import Accepted
from tests.load.payments import Payment

GROUP = 500
"""As the API's intake does. Source: api/transfers/intake.py."""

COUNT_LANES = "SELECT count(*) FROM lanes WHERE lane > 0"
HOLD_LANES = "SELECT lane FROM lanes WHERE lane > 0 ORDER BY lane FOR NO KEY UPDATE"


@contextmanager
def lanes_held(database_url: str) -> Generator[None]:
    """Hold all lanes: whoever comes to work one finds it taken, and leaves, as they do in earnest."""
    with psycopg.connect(database_url) as connection:
        connection.execute(HOLD_LANES)
        yield


def accept_all(database_url: str, payments: Sequence[Payment]) -> float:
    """Accept payments in groups, as the API's intake does but for its HTTP; give the seconds it took."""
    return asyncio.run(_accept_all(database_url, payments))


async def _accept_all(database_url: str, payments: Sequence[Payment]) -> float:
    async with await connect_async(database_url, application_name="bench", timeouts=INTAKE) as connection:
        lane_count = await _count_lanes(connection)
        start_seconds = monotonic_seconds()
        for group in _groups(payments):
            async with connection.transaction():
                acceptances = await accept(connection, [payment.request() for payment in group], lane_count=lane_count)
            refused = [a for a in acceptances if not isinstance(a, Accepted) or a.replayed]
            assert not refused, refused[:3]
        return monotonic_seconds() - start_seconds


async def _count_lanes(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute(COUNT_LANES)).fetchone()
    assert row is not None
    return int(row[0])


def _groups(payments: Iterable[Payment]) -> Generator[list[Payment]]:
    rest = iter(payments)
    while group := list(islice(rest, GROUP)):
        yield group
