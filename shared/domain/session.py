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
"""How long a used token may come again, by somebody whose answer was lost. Source: http-api.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """How a refresh token stands: `ends_at` is when it stops, or stopped, being good for the next one."""

    used_at: datetime | None
    ends_at: datetime
    is_revoked: bool


class Shown(Enum):
    """What becomes of a refresh token that is shown."""

    ROTATED = "rotated"
    REFUSED = "refused"
    REUSED = "reused"
    """Somebody has used it before: two have it, and one of them should not. The whole session ends."""


def show(token: RefreshToken, *, at: datetime) -> Shown:
    """Decide what becomes of a token that is shown."""
    if token.is_revoked:
        return Shown.REFUSED
    if token.used_at is not None:
        return Shown.ROTATED if at - token.used_at <= GRACE else Shown.REUSED
    return Shown.ROTATED if at < token.ends_at else Shown.REFUSED


def hash_token(token: str) -> bytes:
    """Hash a refresh token for keeping. 32 random bytes need no salt and no slow hash."""
    # Whatever is sent as a token is looked up, and not found.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
