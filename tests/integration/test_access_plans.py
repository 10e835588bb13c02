"""Does asking who calls stay quick with fifty thousand people? The plans of log-ins, sessions and keys."""

from collections.abc import Iterator
from typing import Final, LiteralString
from uuid import UUID

import psycopg
import pytest

from hishab.embedded import PrivatePostgres
from shared.database import forgetting
from shared.database.api_keys import add_key, list_keys, revoke_key, use_key
from shared.database.log_in_failures import clear_failures, count_attempt
from shared.database.sessions import Session, is_live, open_session, read_session_of, revoke, rotate
from shared.database.users import read_user, read_user_by_email
from tests.query_plans import Read, complaints, filled, sent_by

PERSON: Final = UUID(int=10_007)
SESSION: Final = Session(id=PERSON, user_id=PERSON)
TOKEN_HASH: Final = b"token 10007"

# Everybody has logged in once, has a key, and has failed once at logging in.
PEOPLE: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TEMPORARY TABLE people AS
    SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(10000, 60000) AS n
    """,
    """
    INSERT INTO users (id, name, email, pin_hash, created_at)
    SELECT id, 'Rina', n || '@example.org', '', now() FROM people
    """,
    "INSERT INTO sessions (id, user_id, created_at, ends_at) SELECT id, id, now(), now() + '30 days' FROM people",
    """
    INSERT INTO refresh_tokens (token_hash, session_id, created_at, ends_at)
    SELECT convert_to('token ' || n, 'UTF8'), id, now(), now() + '30 days' FROM people
    """,
    """
    INSERT INTO api_keys (id, owner_id, key_hash, scopes, created_at)
    SELECT id, id, convert_to('key ' || n, 'UTF8'), '{}', now() FROM people
    """,
    """
    INSERT INTO login_failures (subject, failures, last_at)
    SELECT convert_to('person ' || n, 'UTF8'), 1, now() - '1 hour'::interval FROM people
    """,
    "ANALYZE",
)


@pytest.fixture(scope="module")
def database_url(postgres: PrivatePostgres, template_database: str) -> Iterator[str]:
    """Fifty thousand people, only to be read."""
    with filled(postgres, template_database, PEOPLE) as url:
        yield url


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


CALLS: Final[dict[str, Read]] = {
    "whose token it is": lambda tx: is_live(tx, SESSION),
    "whose key it is, and that it was used": lambda tx: use_key(tx, key_hash=b"key 10007"),
    "who that is": lambda tx: read_user(tx, PERSON),
    "who has this email": lambda tx: read_user_by_email(tx, "10007@example.org"),
    "who may try a PIN": lambda tx: count_attempt(tx, subject=b"person 10007"),
    "who has known theirs": lambda tx: clear_failures(tx, subject=b"person 10007"),
    "a log-in": lambda tx: open_session(tx, Session(id=UUID(int=1), user_id=PERSON), token_hash=b"new"),
    "going on": lambda tx: rotate(tx, token_hash=TOKEN_HASH, next_hash=b"next"),
    "logging out": lambda tx: revoke(tx, PERSON),
    "whose log-in to end": lambda tx: read_session_of(tx, token_hash=TOKEN_HASH),
    "their keys": lambda tx: list_keys(tx, PERSON, before=None, limit=20),
    "another key": lambda tx: add_key(
        tx, UUID(int=1), owner_id=PERSON, key_hash=b"new", name=None, scopes=[], expires_at=None
    ),
    "a key that is no longer good": lambda tx: revoke_key(tx, PERSON, owner_id=PERSON),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_looks_at_what_is_theirs(database_url: str, connection: psycopg.Connection, call: Read) -> None:
    for statement, parameters in sent_by(database_url, call):
        if "pg_advisory" in statement:
            continue
        # One row, found by another where it has to be; or each half of a question.
        assert not complaints(connection, statement, parameters, scanned_max=2), statement


@pytest.mark.parametrize(
    "statement", [forgetting.FORGET_TOKENS, forgetting.FORGET_SESSIONS, forgetting.FORGET_FAILURES]
)
def test_forgetting_looks_at_what_is_old(connection: psycopg.Connection, statement: LiteralString) -> None:
    limits = {"days": forgetting.KEPT_DAYS, "rows": forgetting.ROWS_MAX}
    assert not complaints(connection, statement, limits, scanned_max=0)
