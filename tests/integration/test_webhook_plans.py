"""Do webhooks stay quick as they pile up? The plans of delivering, recovering and listing, over fifty thousand."""

from collections.abc import Iterator
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import pytest

from hishab.embedded import PrivatePostgres
from shared.database import claims, deliveries, endpoint_health, old_deliveries, recovering
from shared.database.endpoints import read_due
from shared.database.sent import list_attempts, list_deliveries, read_delivery
from shared.domain.attempt import ATTEMPTS_MAX, KEPT_DAYS, DeliveryStatus
from shared.domain.endpoint_health import FAILING_FROM
from tests.query_plans import Bounded, Read, complaints, filled, looked_at_by, planned_early, sent_by

PAGE_ROWS: Final = 20

BUSY: Final = UUID(int=1)
"""Has 40,000 deliveries. Those that are something else than a success delivered are the oldest."""
BEHIND: Final = UUID(int=2)
"""Is owed 8,900, of which 100 are being sent."""
CLOSED: Final = UUID(int=3)
"""Was disabled with 900 pending."""
OWED: Final = 100
"""Others that are owed one delivery each, of fifty thousand that listen."""

CLAIM_ID: Final = UUID(int=7)
CLAIMED: Final = [UUID(int=n) for n in range(40_101, 40_201)]
OWED_IDS: Final = [UUID(int=n) for n in range(101, 101 + OWED)]

WEBHOOKS: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO webhook_endpoints (id, owner_id, url, secret_encrypted, place, created_at, disabled_at, disabled_reason)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, 'http://127.0.0.1/', '', 1, now(),
           CASE WHEN n = 3 THEN now() END, CASE WHEN n = 3 THEN 'owner' END
    FROM generate_series(1, 50000) AS n
    """,
    """
    CREATE TEMPORARY TABLE made AS
    SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id, lpad(to_hex(endpoint), 32, '0')::uuid AS endpoint_id,
           CASE n WHEN 21 THEN 'ping' WHEN 22 THEN 'transfer.failed' WHEN 23 THEN 'webhook_endpoint.disabled'
                  ELSE 'transfer.succeeded' END AS type,
           CASE WHEN n <= 10 OR n > 40100 THEN 'pending' WHEN n <= 20 THEN 'exhausted' ELSE 'delivered' END AS status
    FROM generate_series(1, 50000) AS n
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n <= 40000 THEN 1 WHEN n <= 49000 THEN 2 WHEN n <= 49900 THEN 3 ELSE n - 49800 END
    ) AS _ (endpoint)
    """,
    """
    INSERT INTO events (id, lane, number, type, failure_code, created_at, owner_id)
    SELECT id, 1, n, type, CASE type WHEN 'transfer.failed' THEN 'insufficient_funds' END, now(), endpoint_id
    FROM made ORDER BY n
    """,
    """
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, body, status, attempts, next_attempt_at, claim_id,
                                    claimed_until, created_at, finished_at)
    SELECT id, endpoint_id, id, repeat('x', 700)::bytea, status, 1,
           CASE status WHEN 'pending' THEN now() + CASE WHEN n <= 10 THEN interval '1 hour' ELSE '-1 hour' END END,
           CASE WHEN is_claimed THEN lpad('7', 32, '0')::uuid END,
           CASE WHEN is_claimed THEN now() + interval '1 hour' END, now(), CASE WHEN status <> 'pending' THEN now() END
    FROM made CROSS JOIN LATERAL (SELECT n BETWEEN 40101 AND 40200) AS _ (is_claimed)
    ORDER BY n
    """,
    """
    INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, http_status)
    SELECT id, 1, now(), 1, 200 FROM made ORDER BY n
    """,
    "ANALYZE",
)


@pytest.fixture(scope="module")
def database_url(postgres: PrivatePostgres, template_database: str) -> Iterator[str]:
    """Fifty thousand deliveries, only to be looked at."""
    with filled(postgres, template_database, WEBHOOKS) as url:
        yield url


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def early(postgres: PrivatePostgres, template_database: str) -> Iterator[psycopg.Connection]:
    """The same, and plans from before there was anything."""
    with planned_early(postgres, template_database, WEBHOOKS, STATEMENTS) as connection:
        yield connection


def listing(endpoint_id: UUID = BUSY, *, before: int | None = None, **equal: str) -> Read:
    return lambda tx: list_deliveries(
        tx,
        endpoint_id,
        owner_id=endpoint_id,
        status=equal.get("status"),
        event_type=equal.get("event_type"),
        before=None if before is None else UUID(int=before),
        limit=PAGE_ROWS,
    )


LISTS: Final[dict[str, Read]] = {
    "all": listing(),
    "a later page": listing(before=20_000),
    "delivered": listing(status=DeliveryStatus.DELIVERED),
    "pending": listing(status=DeliveryStatus.PENDING),
    "pending of one that is behind": listing(BEHIND, status=DeliveryStatus.PENDING),
    "given up": listing(status=DeliveryStatus.EXHAUSTED),
    "given up of one that is behind": listing(BEHIND, status=DeliveryStatus.EXHAUSTED),
    "successes": listing(event_type="transfer.succeeded"),
    "failures": listing(event_type="transfer.failed"),
    "pings": listing(event_type="ping"),
    "of endpoints": listing(event_type="webhook_endpoint.disabled"),
    "given up of failures": listing(status=DeliveryStatus.EXHAUSTED, event_type="transfer.failed"),
    "one": lambda tx: read_delivery(tx, UUID(int=20_000), endpoint_id=BUSY),
    "its attempts": lambda tx: list_attempts(tx, UUID(int=20_000)),
}


@pytest.mark.parametrize("read", LISTS.values(), ids=LISTS)
def test_a_list_reads_a_page(database_url: str, connection: psycopg.Connection, read: Read) -> None:
    for statement, parameters in sent_by(database_url, read):
        assert not complaints(connection, statement, parameters, scanned_max=3 * PAGE_ROWS), statement


def test_what_is_due_is_counted_by_index(database_url: str, connection: psycopg.Connection) -> None:
    for statement, parameters in sent_by(database_url, lambda tx: read_due(tx, [BUSY, *OWED_IDS])):
        assert not complaints(connection, statement, parameters, scanned_max=OWED)


TRIED: Final[dict[str, Any]] = {
    "ids": CLAIMED,
    "claim_ids": [CLAIM_ID] * len(CLAIMED),
    "starts": ["2026-11-22T12:00:00Z"] * len(CLAIMED),
    "durations": [1] * len(CLAIMED),
    "http_statuses": [200] * len(CLAIMED),
    "errors": [None] * len(CLAIMED),
    "excerpts": [None] * len(CLAIMED),
    "delivered": [True] * len(CLAIMED),
    "waits": [None] * len(CLAIMED),
}
FORGOTTEN: Final = {"before": UUID(int=1_000), "rows": 100, "days": KEPT_DAYS}

# A statement that changes rows finds them, and then looks each up; endpoints are looked up besides.
STATEMENTS: Final[dict[str, Bounded]] = {
    # Of each that something is pending to: that it is, the endpoint, and that it is due.
    "who is owed something": (claims.READ_OWED, {"failing_from": FAILING_FROM}, 5 * (OWED + 3)),
    "whom to probe": (claims.TAKE_PROBES, {"endpoint_ids": OWED_IDS[:20], "lease_seconds": 60}, 2 * 20),
    # Stepped over is what is being sent.
    "what to send": (
        claims.CLAIM,
        {
            "endpoint_ids": [BEHIND, *OWED_IDS[:20]],
            "rooms": [50] * 21,
            "claim_id": CLAIM_ID,
            "limit": 60,
            "lease_seconds": 60,
        },
        len(CLAIMED) + 70 * 2 + 60 * 3,
    ),
    "what is not sent after all": (
        claims.RELEASE,
        {"ids": CLAIMED, "claim_ids": [CLAIM_ID] * len(CLAIMED)},
        3 * len(CLAIMED),
    ),
    "what came of it": (claims.RECORD, TRIED, 4 * len(CLAIMED)),
    "what nobody listens to": (claims.WRITE_OFF, {"endpoint_ids": [CLOSED], "limit": 100}, 1 + 3 * 100),
    "how endpoints fare": (
        endpoint_health.NOTE,
        {
            "ids": OWED_IDS[:20],
            "answered": [False] * 20,
            "failed": [1] * 20,
            "first_failed_at": ["2026-11-22T12:00:00Z"] * 20,
            "failing_from": FAILING_FROM,
            "probe_seconds": 5.0,
        },
        3 * 20,
    ),
    "whom to give up": (
        endpoint_health.DISABLE,
        {"ids": OWED_IDS[:20], "gone_ids": [], "gone_urls": [], "failures_min": 10, "after_seconds": 1.0},
        2 * 20,
    ),
    "who listens": (deliveries.READ_ENDPOINTS, {"owner_ids": OWED_IDS[:20]}, 20),
    "what happened to an owner": (
        recovering.READ_EVENTS,
        {"owner_id": BUSY, "lane": 1, "before": 30_000, "limit": 500},
        2 * 500,
    ),
    "what is owed again": (
        recovering.OWE_AGAIN,
        {
            "endpoint_id": BUSY,
            "ids": [UUID(int=60_000 + n) for n in range(11, 111)],
            "event_ids": [UUID(int=n) for n in range(11, 111)],
            "bodies": [b""] * 100,
            "attempts_max": ATTEMPTS_MAX,
        },
        0,
    ),
    "what to forget": (old_deliveries.FORGET_DELIVERIES, {"after": UUID(int=0), **FORGOTTEN}, 5 * 100),
}


@pytest.mark.parametrize(("statement", "parameters", "scanned_max"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_looks_at_little(
    connection: psycopg.Connection, statement: LiteralString, parameters: dict[str, Any], scanned_max: int
) -> None:
    assert not complaints(connection, statement, parameters, scanned_max=scanned_max)


# What is owed again is only written: there is nothing to plan but where a conflict is looked for.
PLANNED: Final = [name for name in STATEMENTS if name != "what is owed again"]


@pytest.mark.parametrize("name", PLANNED)
def test_a_statement_looks_at_little_by_a_plan_made_for_nothing(early: psycopg.Connection, name: str) -> None:
    _, parameters, scanned_max = STATEMENTS[name]
    assert looked_at_by(early, name, parameters) <= scanned_max
