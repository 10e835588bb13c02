"""Decide whether a refresh token is good for the next one, or has been used before and tells of a theft. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

REFRESH_PREFIX: Final = "rt_"
REFRESH_BYTES: Final = 32

REFRESH_LIFETIME: Final = timedelta(days=30)
"""How long a session goes on after it was last refreshed."""

GRACE: Final = timedelta(seconds=30)
"""How long a used token may come again, by somebody whose answer was lost: nobody has used what was issued for it.
Source: http-api.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """How a refresh token stands: `ends_at` is when it stops, or stopped, being good for the next one.

    Attributes:
        has_successor: A later one of its session was issued.
        is_successor_used: One that was issued for it has been used since it was.
    """

    used_at: datetime | None
    ends_at: datetime
    is_revoked: bool
    has_successor: bool
    is_successor_used: bool


class Shown(Enum):
    """What becomes of a refresh token that is shown."""

    ROTATED = "rotated"
    REFUSED = "refused"
    REUSED = "reused"
    """Two have it or what came of it, and one of them should not. The whole session ends."""


def show(token: RefreshToken, *, at: datetime) -> Shown:
    """Decide what becomes of a token that is shown."""
    if token.is_revoked:
        return Shown.REFUSED
    if token.used_at is not None:
        # Whoever goes on with what was issued for it has had the answer: this is somebody else.
        was_lost = at - token.used_at <= GRACE and not token.is_successor_used
        return Shown.ROTATED if was_lost else Shown.REUSED
    if token.has_successor:
        # Its answer was said to be lost, and another was issued instead.
        return Shown.REUSED
    return Shown.ROTATED if at < token.ends_at else Shown.REFUSED


def hash_token(token: str) -> bytes:
    """Hash a refresh token for keeping. 32 random bytes need no salt and no slow hash."""
    # Whatever is sent as a token is looked up, and not found.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
