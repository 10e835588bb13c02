"""Remove what was kept for a while only: refresh tokens and sessions that are dead, log-ins that failed."""

from typing import Final, LiteralString

from psycopg import Connection

KEPT_DAYS: Final = 30
"""How long a dead refresh token can still be found to be used again, and a failure be asked about."""

ROWS_MAX: Final = 1_000
"""Rows a statement: none holds its locks for long."""

# Index: refresh_tokens_ends_at_idx.
FORGET_TOKENS: LiteralString = """
DELETE FROM refresh_tokens WHERE token_hash IN (
    SELECT token_hash FROM refresh_tokens
    WHERE ends_at < statement_timestamp() - make_interval(days => %(days)s)
    ORDER BY ends_at LIMIT %(rows)s
)
"""

# Index: sessions_ends_at_idx. A session ends with the last of its tokens, so these are gone, or are next.
FORGET_SESSIONS: LiteralString = """
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions
    WHERE ends_at < statement_timestamp() - make_interval(days => %(days)s)
      AND NOT EXISTS (SELECT FROM refresh_tokens WHERE session_id = sessions.id)
    ORDER BY ends_at LIMIT %(rows)s
)
"""

# Index: login_failures_last_at_idx.
FORGET_FAILURES: LiteralString = """
DELETE FROM login_failures WHERE subject IN (
    SELECT subject FROM login_failures
    WHERE last_at < statement_timestamp() - make_interval(days => %(days)s)
    ORDER BY last_at LIMIT %(rows)s
)
"""


def forget_some(connection: Connection) -> int:
    """Remove up to a thousand rows of each kind, each kind for itself, and say how many that were."""
    limits = {"days": KEPT_DAYS, "rows": ROWS_MAX}
    removed = 0
    for statement in (FORGET_TOKENS, FORGET_SESSIONS, FORGET_FAILURES):
        removed += connection.execute(statement, limits).rowcount
    return removed
