"""Issue and verify access tokens (RFC 8725: one algorithm, pinned; every claim required)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import jwt

from shared import clock
from shared.database.sessions import Session
from shared.domain.errors import NotAuthenticated
from shared.identifiers import new_id

ALGORITHM: Final = "HS256"
ISSUER: Final = "hishab"
AUDIENCE: Final = "hishab"
LIFETIME: Final = timedelta(minutes=15)
REQUIRED_CLAIMS: Final = ("iss", "aud", "sub", "exp", "iat", "jti", "sid")

LENGTH_MAX: Final = 1_024
"""Ours are half as long. A longer one is not worth being looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a good token says: whose session it belongs to, and until when it is good, in seconds since 1970."""

    session: Session
    good_until_seconds: int


class Tokens:
    """Signs with the first key and verifies with any, so that keys can rotate."""

    def __init__(self, keys: tuple[tuple[str, bytes], ...]) -> None:
        """Take `(key id, secret)` pairs, the one that signs first."""
        self._keys = dict(keys)
        self._signing_id, self._signing_key = keys[0]

    def issue(self, session: Session) -> str:
        """Issue a token for a session, good for fifteen minutes."""
        now = clock.now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(session.user_id),
            "sid": str(session.id),
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(new_id()),
        }
        return jwt.encode(claims, self._signing_key, algorithm=ALGORITHM, headers={"kid": self._signing_id})

    def verify(self, token: str) -> AccessToken:
        """Say whose token it is; whether the session has been revoked is not written on it.

        Raises:
            NotAuthenticated: It is not one of ours, or it has expired.
        """
        if len(token) > LENGTH_MAX:
            raise NotAuthenticated
        try:
            key = self._keys[str(jwt.get_unverified_header(token).get("kid"))]
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # Whether a clock was set back since, or another machine's is behind, does not make it less ours: it
                # ends when it says so, and a session that was ended is found in PostgreSQL.
                options={"require": list(REQUIRED_CLAIMS), "verify_iat": False},
            )
            return AccessToken(
                session=Session(id=UUID(claims["sid"]), user_id=UUID(claims["sub"])),
                good_until_seconds=int(claims["exp"]),
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise NotAuthenticated from error
