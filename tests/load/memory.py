"""Watch what a lane worker holds while a long backlog waits (S13)."""

from collections.abc import Mapping
from statistics import median

import psycopg

from shared.clock import monotonic_seconds, pause
from tests.load.endings import endings_in
from tests.load.stage import Stage
from tests.load.system import System, memory_mb

WATCHED_SECONDS = 10.0
LOOK_SECONDS = 0.1

# Made in PostgreSQL, as nothing but their number matters here: as if they had been accepted one after the other.
FILL_QUEUE = """
WITH wanted AS (
    SELECT nextval('transfer_position') AS position, uuidv7() AS id, owner_id, 1 + mod(n, %(count)s) AS source,
           1 + mod(n + 1 + n / %(count)s, %(count)s) AS destination
    FROM generate_series(1, %(transfers)s) AS n
    CROSS JOIN (SELECT owner_id FROM wallets WHERE id = %(first)s) AS owner
), accepted AS (
    INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                           amount, currency, created_at)
    SELECT id, position, owner_id, owner_id, sources.ids[source], sources.ids[destination], 1, 'BDT',
           statement_timestamp()
    FROM wanted
    -- Not in `wanted`, which is spooled: a copy of it for each row fills a disk.
    CROSS JOIN (SELECT %(sources)s::uuid[] AS ids) AS sources
    WHERE source <> destination
    RETURNING id, position, source_wallet_id, destination_wallet_id, amount, created_at
)
INSERT INTO queue (lane, position, transfer_id, source_wallet_id, destination_wallet_id, amount, accepted_at)
SELECT 1, position, id, source_wallet_id, destination_wallet_id, amount, created_at FROM accepted
"""


def measure(stage: Stage) -> Mapping[str, float]:
    """S13: the most that one of the worker's processes held, and whether it grew."""
    with stage.fresh_system() as system:
        # Before there is any work: a start waits until the worker has nothing to do.
        system.start("lanes")
        _fill(stage, system)
        with endings_in(system.database_url) as endings:
            before = endings.count
            system.wake(1)
            endings.await_count(before + 1)
            seen = _watched(system)
    third = max(len(seen) // 3, 1)
    return {
        "S13 lanes": max(seen),
        "S13 lanes first": median(seen[:third]),
        "S13 lanes last": median(seen[-third:]),
    }


def _fill(stage: Stage, system: System) -> None:
    sources = list(stage.wallets.spread)
    arguments = {"sources": sources, "count": len(sources), "first": sources[0]}
    with psycopg.connect(system.database_url) as connection:
        connection.execute(FILL_QUEUE, {**arguments, "transfers": stage.size.memory_backlog})


def _watched(system: System) -> list[float]:
    """Look again and again at the process that holds most: the one that works."""
    seen: list[float] = []
    end_seconds = monotonic_seconds() + WATCHED_SECONDS
    while monotonic_seconds() < end_seconds:
        seen.append(max(memory_mb(pid) for pid in system.processes("lanes")))
        pause(LOOK_SECONDS)
    return seen
