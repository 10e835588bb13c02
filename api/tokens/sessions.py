"""Log in, go on and log out: what `POST /v1/token` and `POST /v1/token/revoke` do."""

import secrets
from dataclasses import dataclass, field
from uuid import UUID

from api.parts import Parts
from shared.database.log_in_failures import clear_failures, count_attempt
from shared.database.sessions import Session, open_session, read_session_of, revoke, rotate
from shared.database.users import read_user_by_email
from shared.domain.errors import NotAuthenticated, TooManyAttempts
from shared.domain.session import REFRESH_BYTES, REFRESH_PREFIX, hash_token
from shared.identifiers import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What a session goes on with: an access token for the next minutes, a refresh token for the next pair."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


async def log_in(parts: Parts, *, email: str, pin: str) -> Pair | None:
    """Begin a session, or return None if the email or the PIN is wrong: nobody is told which.

    Raises:
        TooManyAttempts: There were too many failures; the PIN was not looked at.
        TooBusy: Too many are hashed at this moment; nothing was counted.
    """
    subject = parts.pins.subject(email)
    async with parts.pins.place():
        # Committed before the PIN is looked at, so that no failure, crash or crowd gets a guess for nothing. And the
        # connection is given back before the hash is computed: that takes longer than everything else.
        async with parts.engine.begin() as tx:
            wait = await count_attempt(tx, subject=subject)
            user = await read_user_by_email(tx, email) if email.isprintable() else None
        if wait is not None:
            raise TooManyAttempts(wait.seconds)
        is_right = await parts.pins.verify(pin, pin_hash=user.pin_hash if user else None)
    if user is None or not is_right:
        return None
    session, refresh_token = Session(id=new_id(), user_id=user.id), _new_refresh_token()
    async with parts.engine.begin() as tx:
        await clear_failures(tx, subject=subject)
        await open_session(tx, session, token_hash=hash_token(refresh_token))
    return Pair(access_token=parts.tokens.issue(session), refresh_token=refresh_token)


async def refresh(parts: Parts, refresh_token: str) -> Pair | None:
    """Go on with a session, or return None if the token is not good for it."""
    next_token = _new_refresh_token()
    async with parts.engine.begin() as tx:
        session = await rotate(tx, token_hash=hash_token(refresh_token), next_hash=hash_token(next_token))
    if session is None:
        return None
    return Pair(access_token=parts.tokens.issue(session), refresh_token=next_token)


async def log_out(parts: Parts, token: str) -> None:
    """End the session that a token of either kind belongs to, if it belongs to one."""
    async with parts.engine.begin() as tx:
        if token.startswith(REFRESH_PREFIX):
            session_id = await read_session_of(tx, token_hash=hash_token(token))
        else:
            session_id = _session_id(parts, token)
        if session_id is not None:
            await revoke(tx, session_id)


def _session_id(parts: Parts, access_token: str) -> UUID | None:
    try:
        return parts.tokens.verify(access_token).session.id
    except NotAuthenticated:
        return None


def _new_refresh_token() -> str:
    return f"{REFRESH_PREFIX}{secrets.token_urlsafe(REFRESH_BYTES)}"
