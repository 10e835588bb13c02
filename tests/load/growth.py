"""Fill the tables with millions of transfers, and measure what that costs (S10, S11): `make bench-growth`.

The history is written straight into the tables, in PostgreSQL, since applying it would take too long. It is one that
could have happened, and the audit holds over it: payments go round in a ring of all wallets, each paying its neighbour
one minor unit, so that every entry's number and balance follow from its place; beside the ring, two pairs of wallets
pay each other to and fro, one pair for a fifth of all transfers and one a thousand times.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median
from typing import LiteralString

import psycopg

from tests.load.apply import drain
from tests.load.generator import Job
from tests.load.payments import payments
from tests.load.stage import Stage, answered
from tests.load.system import System

STEPS = 5
CHUNK_TRANSFERS = 200_000
MEMORY = "-c work_mem=256MB"
"""A chunk is sorted in memory."""

PAGES = 10
PAGE_WALKS = 20
LONG_SHARE = 0.2
"""Of all transfers: those of one wallet, which then has as many entries."""

SHORT_ENTRIES = 1_000

# The wallets of a ring or of a pair, with what they hold already, in a fixed order.
WALLETS = """
CREATE UNLOGGED TABLE ring AS
SELECT place::bigint - 1 AS place, id, owner_id, balance, entry_count
FROM unnest(%s::uuid[]) WITH ORDINALITY AS given (id, place) JOIN wallets USING (id);
"""

# Transfer n of the ring goes from wallet n to wallet n + 1 (modulo their number), in the order of n.
TRANSFERS = """
CREATE UNLOGGED TABLE grown AS
SELECT n, n / %(count)s AS cycle, uuidv7() AS id, nextval('transfer_position') AS position,
       md5(random()::text || n) AS key, source.place, source.owner_id,
       source.id AS source_id, destination.id AS destination_id,
       source.balance AS source_balance, source.entry_count AS source_entries,
       destination.balance AS destination_balance, destination.entry_count AS destination_entries
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
JOIN ring AS source ON source.place = mod(n, %(count)s)
JOIN ring AS destination ON destination.place = mod(n + 1, %(count)s)
ORDER BY n
"""

INSERT_TRANSFERS = """
INSERT INTO transfers (id, position, owner_id, destination_owner_id, source_wallet_id, destination_wallet_id,
                       amount, currency, idempotency_key, fingerprint, created_at)
SELECT id, position, owner_id, owner_id, source_id, destination_id, 1, %(currency)s, key, sha256(key::bytea), now()
FROM grown ORDER BY n
"""

INSERT_EVENTS = """
INSERT INTO events (id, lane, number, type, transfer_id, version, owner_id, position, created_at)
SELECT uuidv7(), 1, %(event_number)s + row_number() OVER (ORDER BY n), 'transfer.succeeded', id, 2, owner_id, position,
       now()
FROM grown ORDER BY n
"""

# In each turn of the ring a wallet is paid and then pays, but for the first: it pays, and is paid when the ring closes.
INSERT_ENTRIES = """
INSERT INTO entries (wallet_id, number, transfer_id, amount, balance_after, created_at)
SELECT source_id, source_entries + 2 * cycle + CASE WHEN place = 0 THEN 1 ELSE 2 END, id, -1,
       source_balance - CASE WHEN place = 0 THEN 1 ELSE 0 END, now()
FROM grown
UNION ALL
SELECT destination_id, destination_entries + 2 * cycle + CASE WHEN place = %(count)s - 1 THEN 2 ELSE 1 END, id, 1,
       destination_balance + CASE WHEN place = %(count)s - 1 THEN 0 ELSE 1 END, now()
FROM grown
"""

READ_EVENT_NUMBER = "SELECT event_number FROM lanes WHERE lane = 1"
ADD_EVENTS = "UPDATE lanes SET event_number = event_number + %s WHERE lane = 1"
ADD_ENTRIES = "UPDATE wallets SET entry_count = wallets.entry_count + 2 * %s FROM ring WHERE wallets.id = ring.id"
CURRENCY_OF = "SELECT currency FROM wallets WHERE id = %s"


def fill_ring(database_url: str, wallets: Sequence[str], *, cycles: int) -> int:
    """Let payments go round so many times, and say how many that were; balances are afterwards what they were before.

    Nobody else may work in the database.

    Args:
        wallets: At least two, each holding at least 1.
    """
    chunk_cycles = CHUNK_TRANSFERS // len(wallets)
    with filling(database_url) as connection, filling(database_url) as beside, ThreadPoolExecutor(1) as writing:
        (currency,) = connection.execute(CURRENCY_OF, (wallets[0],)).fetchone() or ("",)
        connection.execute(WALLETS, (list(wallets),))
        for first_cycle in range(0, cycles, chunk_cycles):
            first = first_cycle * len(wallets)
            last = min(first_cycle + chunk_cycles, cycles) * len(wallets) - 1
            (event_number,) = connection.execute(READ_EVENT_NUMBER).fetchone() or (0,)
            arguments = {
                "count": len(wallets), "first": first, "last": last, "currency": currency, "event_number": event_number,
            }  # fmt: skip
            connection.execute(TRANSFERS, arguments)
            # On the other core: about as long as the transfers take with all their indexes.
            written = writing.submit(_execute, beside, (INSERT_EVENTS, INSERT_ENTRIES), arguments)
            connection.execute(INSERT_TRANSFERS, arguments)
            written.result()
            connection.execute("DROP TABLE grown")
            connection.execute(ADD_EVENTS, (last - first + 1,))
        connection.execute(ADD_ENTRIES, (cycles,))
        connection.execute("DROP TABLE ring")
    return cycles * len(wallets)


def filling(database_url: str) -> psycopg.Connection:
    """Connect with client-side cursors, as a statement that makes a table takes no parameters."""
    return psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor, options=MEMORY)


def _execute(
    connection: psycopg.Connection, statements: Iterable[LiteralString], arguments: Mapping[str, object]
) -> None:
    for statement in statements:
        connection.execute(statement, arguments)


def measure(stage: Stage, *, transfers: int, done: Callable[[], None]) -> dict[str, list[float]]:
    """S10 and S11: the same measured in full tables and in empty ones, in turn."""
    figures: dict[str, list[float]] = {}
    long_entries = int(transfers * LONG_SHARE)
    stage.timeline.begin("filling the two wallets of S11")
    with stage.fresh_system() as empty, stage.fresh_system() as full:
        pairs = stage.wallets.spread[:4]
        ring = stage.wallets.spread[4:]
        fill_ring(full.database_url, pairs[:2], cycles=long_entries // 2)
        fill_ring(full.database_url, pairs[2:], cycles=SHORT_ENTRIES // 2)
        filled = long_entries + SHORT_ENTRIES
        stage.timeline.begin("S10, empty")
        points = [(0.0, _measured(stage, empty)["apply"])]
        for step in range(1, STEPS + 1):
            stage.timeline.begin(f"filling to {transfers * step // STEPS:,} transfers")
            cycles = max((transfers * step // STEPS - filled) // len(ring), 0)
            filled += fill_ring(full.database_url, ring, cycles=cycles)
            with filling(full.database_url) as connection:
                connection.execute("VACUUM ANALYZE")
            stage.timeline.begin(f"S10, with {filled:,} transfers")
            points.append((float(filled), _measured(stage, full)["apply"]))
            done()
        for _ in range(stage.size.rounds):
            for name, system in (("empty", empty), ("full", full)):
                stage.timeline.begin(f"S10, {name}")
                for what, value in _measured(stage, system).items():
                    figures.setdefault(f"S10 {what} {name}", []).append(value)
            stage.timeline.begin("S11")
            for name, wallet in (("million", pairs[0]), ("thousand", pairs[2])):
                figures.setdefault(f"S11 {name}", []).append(_page_ms(full, stage, wallet))
            done()
        stage.timeline.begin("auditing the full tables")
        with stage.checked(full, whole=True):
            pass
        done()
    stage.points["throughput by growth"] = list(points)
    return figures


def _measured(stage: Stage, system: System) -> Mapping[str, float]:
    stage.round += 1
    planned = list(islice(payments(stage.wallets, label=f"growth-{stage.round}"), stage.size.backlog))
    drained = drain(stage, system, planned)
    system.stop()
    return {"apply": drained.applied_per_second, "accept": drained.accepted_per_second}


def _page_ms(system: System, stage: Stage, wallet: str) -> float:
    """Walk from page to page, again and again; give the median of a page."""
    system.start("api")
    path = f"/v1/wallets/{wallet}/entries?limit=100"
    pages = [path]
    for _ in range(PAGES - 1):
        (answer,) = answered(stage, Job(server=system.server, requests=[system.server.get(pages[-1])]), status=200)
        pages.append(f"{path}&cursor={answer.json()['next_cursor']}")
    requests = [system.server.get(page) for page in pages] * PAGE_WALKS
    answers = answered(stage, Job(server=system.server, requests=requests), status=200)
    return median(1_000 * (answer.answered_seconds - answer.sent_seconds) for answer in answers)
