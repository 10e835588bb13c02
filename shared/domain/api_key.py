"""Say what an API key looks like, and what is kept of it."""

import hashlib
from typing import Final

KEY_PREFIX: Final = "sk_"
KEY_BYTES: Final = 32


def hash_key(key: str) -> bytes:
    """Hash a key for keeping. 32 random bytes need no salt and no slow hash."""
    return hashlib.sha256(key.encode()).digest()
