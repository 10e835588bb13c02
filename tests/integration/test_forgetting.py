"""Upkeep forgets what was kept for thirty days, and nothing that is younger or still good."""

from shared.database.forgetting import ROWS_MAX
from tests.ledger import Ledger
from worker.upkeep.forget import forget

MAKE_USER = "INSERT INTO users VALUES (gen_random_uuid(), 'Rina', 'rina@example.org', 'hash', now()) RETURNING id"

MAKE_SESSION = """
INSERT INTO sessions (id, user_id, created_at, ends_at)
SELECT gen_random_uuid(), id, now(), now() + make_interval(days => %s) FROM users RETURNING id
"""

MAKE_TOKENS = """
INSERT INTO refresh_tokens (token_hash, session_id, created_at, ends_at)
SELECT sha256(gen_random_uuid()::text::bytea), %s, now(), now() + make_interval(days => %s) FROM generate_series(1, %s)
"""

MAKE_FAILURES = """
INSERT INTO login_failures (subject, failures, last_at)
SELECT sha256(gen_random_uuid()::text::bytea), 1, now() + make_interval(days => %s) FROM generate_series(1, %s)
"""


def test_sessions_whose_end_is_long_ago(ledger: Ledger) -> None:
    ledger.value(MAKE_USER)
    dead, recent, live = (ledger.value(MAKE_SESSION, days) for days in (-31, -29, 30))
    for session_id, days in ((dead, -31), (recent, -29), (live, 30)):
        ledger.connection.execute(MAKE_TOKENS, (session_id, days, 2))
    assert forget(ledger.connection) == 3
    assert ledger.value("SELECT array_agg(id ORDER BY ends_at) FROM sessions") == [recent, live]
    assert ledger.value("SELECT count(*) FROM refresh_tokens") == 4


def test_tokens_that_are_long_dead_in_a_session_that_goes_on(ledger: Ledger) -> None:
    ledger.value(MAKE_USER)
    session_id = ledger.value(MAKE_SESSION, 30)
    ledger.connection.execute(MAKE_TOKENS, (session_id, -31, 3))
    ledger.connection.execute(MAKE_TOKENS, (session_id, 30, 1))
    assert forget(ledger.connection) == 3
    assert ledger.value("SELECT count(*) FROM refresh_tokens") == 1
    assert ledger.value("SELECT count(*) FROM sessions") == 1


def test_failures_however_many(ledger: Ledger) -> None:
    ledger.connection.execute(MAKE_FAILURES, (-31, ROWS_MAX * 2 + 1))
    ledger.connection.execute(MAKE_FAILURES, (-29, 5))
    assert forget(ledger.connection) == ROWS_MAX * 2 + 1
    assert forget(ledger.connection) == 0
    assert ledger.value("SELECT count(*) FROM login_failures") == 5
