"""Accepting keeps the plan that it has, however few are accepted at a time."""

from typing import Final, LiteralString

import pytest

from shared.database.acceptance_at_once import accept_at_once
from shared.database.pool import intake_pool
from tests.ledger import Ledger

COUNT_PLANS: Final[LiteralString] = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"


@pytest.mark.anyio
async def test_a_write_is_planned_once_whatever_is_in_it(ledger: Ledger) -> None:
    source, destination = ledger.wallet(), ledger.wallet()
    async with intake_pool(ledger.database_url, size_max=1) as pool, pool.connection() as connection:
        for count in (1, 2, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1):
            requests = [ledger.request(source, destination, 1) for _ in range(count)]
            assert None not in await accept_at_once(connection, requests, lane_count=1, is_full=False)
        plans = await (await connection.execute(COUNT_PLANS)).fetchall()
    # psycopg prepares what it has sent five times.
    assert plans == [(7, 0)]
