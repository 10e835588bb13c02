"""Hash PINs: argon2id over an HMAC with a pepper, since 100,000 values alone would fall in an hour."""

import asyncio
import hashlib
import hmac
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

HASHES_AT_ONCE: Final = 2
"""Hashes that run at the same time. Each takes some 40 ms and 19 MiB (dependencies.md), off the event loop."""

# Verified against when nobody has the email, so that known and unknown emails take the same time.
NOBODY: Final = "nobody"


class Pins:
    """Hashes and verifies PINs, a few at a time, away from the event loop."""

    def __init__(self, pepper: bytes) -> None:
        """Take the pepper, which is kept out of the database."""
        self._pepper = pepper
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._places = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobodys_hash = self._hasher.hash(self._peppered(NOBODY))

    async def hash(self, pin: str) -> str:
        """Hash a PIN for keeping."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, self._peppered(pin))

    async def verify(self, pin: str, *, pin_hash: str | None) -> bool:
        """Say whether a PIN is the one that was hashed; no hash takes just as long, and is never it."""
        async with self._places:
            return await asyncio.to_thread(self._verify, pin, pin_hash or self._nobodys_hash) and pin_hash is not None

    def _verify(self, pin: str, pin_hash: str) -> bool:
        try:
            return self._hasher.verify(pin_hash, self._peppered(pin))
        except (VerificationError, InvalidHashError):
            return False

    def _peppered(self, pin: str) -> bytes:
        return hmac.digest(self._pepper, pin.encode(errors="surrogatepass"), hashlib.sha256)
