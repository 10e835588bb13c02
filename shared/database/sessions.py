"""Keep sessions: what a log-in begins, a family of refresh tokens of which each is good for the next."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.session import REFRESH_LIFETIME, RefreshToken, Shown, show

INSERT_SESSION: LiteralString = """
INSERT INTO sessions (id, user_id, created_at, ends_at)
VALUES (:id, :user_id, statement_timestamp(), statement_timestamp() + :lifetime)
"""

ADD_REFRESH: LiteralString = """
INSERT INTO refresh_tokens (token_hash, session_id, created_at, ends_at)
SELECT :token_hash, id, statement_timestamp(), ends_at FROM sessions WHERE id = :id
"""

# Locks the session (sessions_pkey), and with it all of its tokens: nobody changes those without this lock.
LOCK_SESSION: LiteralString = """
SELECT id, user_id, revoked_at IS NOT NULL AS is_revoked FROM sessions
WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = :token_hash)
FOR NO KEY UPDATE
"""

# After the lock, as a statement of its own: what was waited for is seen. Only the newest token of a session that was
# never used is good, so what was used after this one descends from it.
# Index: refresh_tokens_pkey, refresh_tokens_session_id_idx.
READ_REFRESH: LiteralString = """
SELECT token.used_at, token.ends_at, clock_timestamp() AS at,
       bool_or(other.created_at > token.created_at) AS has_successor,
       coalesce(bool_or(other.used_at > token.used_at), false) AS is_successor_used
FROM refresh_tokens AS token
JOIN refresh_tokens AS other ON other.session_id = token.session_id
WHERE token.token_hash = :token_hash
GROUP BY token.token_hash
"""

MARK_USED: LiteralString = """
UPDATE refresh_tokens SET used_at = :at, ends_at = :at WHERE token_hash = :token_hash AND used_at IS NULL
"""

PROLONG: LiteralString = "UPDATE sessions SET ends_at = statement_timestamp() + :lifetime WHERE id = :id"

# The session first, then its tokens (refresh_tokens_session_id_idx), as whoever rotates one does.
REVOKE_SESSION: LiteralString = """
UPDATE sessions SET revoked_at = statement_timestamp(), ends_at = statement_timestamp()
WHERE id = :id AND revoked_at IS NULL
"""

REVOKE_TOKENS: LiteralString = """
UPDATE refresh_tokens SET ends_at = statement_timestamp()
WHERE session_id = :id AND ends_at > statement_timestamp()
"""

READ_SESSION_OF: LiteralString = "SELECT session_id FROM refresh_tokens WHERE token_hash = :token_hash"

IS_LIVE: LiteralString = (
    "SELECT EXISTS (SELECT FROM sessions WHERE id = :id AND user_id = :user_id AND revoked_at IS NULL)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Whose log-in goes on."""

    id: UUID
    user_id: UUID


async def open_session(tx: AsyncConnection, session: Session, *, token_hash: bytes) -> None:
    """Write down that somebody has logged in, and their first refresh token."""
    arguments = {"id": session.id, "user_id": session.user_id, "lifetime": REFRESH_LIFETIME}
    await tx.execute(text(INSERT_SESSION), arguments)
    await tx.execute(text(ADD_REFRESH), {"token_hash": token_hash, "id": session.id})


async def rotate(tx: AsyncConnection, *, token_hash: bytes, next_hash: bytes) -> Session | None:
    """Take a refresh token for the next one, and say whose session goes on; None if the token is not good.

    Commit in both cases: a token that is used again ends its session.
    """
    session = (await tx.execute(text(LOCK_SESSION), {"token_hash": token_hash})).one_or_none()
    if session is None:
        return None
    row = (await tx.execute(text(READ_REFRESH), {"token_hash": token_hash})).one()
    token = RefreshToken(
        used_at=row.used_at,
        ends_at=row.ends_at,
        is_revoked=session.is_revoked,
        has_successor=row.has_successor,
        is_successor_used=row.is_successor_used,
    )
    match show(token, at=row.at):
        case Shown.ROTATED:
            await tx.execute(text(MARK_USED), {"token_hash": token_hash, "at": row.at})
            await tx.execute(text(PROLONG), {"id": session.id, "lifetime": REFRESH_LIFETIME})
            await tx.execute(text(ADD_REFRESH), {"token_hash": next_hash, "id": session.id})
            return Session(id=session.id, user_id=session.user_id)
        case Shown.REUSED:
            await revoke(tx, session.id)
            return None
        case Shown.REFUSED:
            return None


async def revoke(tx: AsyncConnection, session_id: UUID) -> None:
    """End a session: its refresh tokens at once, its access tokens as soon as they are looked up again."""
    await tx.execute(text(REVOKE_SESSION), {"id": session_id})
    await tx.execute(text(REVOKE_TOKENS), {"id": session_id})


async def read_session_of(tx: AsyncConnection, *, token_hash: bytes) -> UUID | None:
    """Find the session that a refresh token belongs to, dead or alive."""
    return (await tx.execute(text(READ_SESSION_OF), {"token_hash": token_hash})).scalar_one_or_none()


async def is_live(tx: AsyncConnection, session: Session) -> bool:
    """Say whether a session is this person's and was not revoked. Index: sessions_pkey."""
    return (await tx.execute(text(IS_LIVE), {"id": session.id, "user_id": session.user_id})).scalar_one()
