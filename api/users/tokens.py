"""Issue and verify access tokens (RFC 8725: one algorithm, pinned; every claim required)."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import jwt

from shared import clock
from shared.domain.errors import NotAuthenticated
from shared.identifiers import new_id

ALGORITHM: Final = "HS256"
ISSUER: Final = "hishab"
AUDIENCE: Final = "hishab"
LIFETIME: Final = timedelta(minutes=15)
REQUIRED_CLAIMS: Final = ("iss", "aud", "sub", "exp", "iat", "jti")


class Tokens:
    """Signs with the first key and verifies with any, so that keys can rotate."""

    def __init__(self, keys: tuple[tuple[str, bytes], ...]) -> None:
        """Take `(key id, secret)` pairs, the one that signs first."""
        self._keys = dict(keys)
        self._signing_id, self._signing_key = keys[0]

    def issue(self, user_id: UUID) -> str:
        """Issue a token for a person, good for fifteen minutes."""
        now = clock.now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "iat": now,
            "exp": now + LIFETIME,
            "jti": str(new_id()),
        }
        return jwt.encode(claims, self._signing_key, algorithm=ALGORITHM, headers={"kid": self._signing_id})

    def verify(self, token: str) -> UUID:
        """Say whose token it is.

        Raises:
            NotAuthenticated: It is not one of ours, or it has expired.
        """
        try:
            key = self._keys[str(jwt.get_unverified_header(token).get("kid"))]
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": list(REQUIRED_CLAIMS)},
            )
            return UUID(claims["sub"])
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            raise NotAuthenticated from error
