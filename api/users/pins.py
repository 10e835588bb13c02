"""Hash PINs: argon2id over an HMAC with a pepper, since 100,000 values alone would fall in an hour."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.domain.errors import TooBusy

HASHES_AT_ONCE: Final = 2
"""Hashes that run at the same time. Each takes some 40 ms and 19 MiB (dependencies.md), off the event loop."""

WAITING_MAX: Final = 200
WAIT_SECONDS_MAX: Final = 10.0
"""Whoever has waited as long for a place comes back later: 200 hashes take some four seconds on two idle cores."""

# Verified against when nobody has the email, so that known and unknown emails take the same time.
NOBODY: Final = "nobody"


class Pins:
    """Hashes and verifies PINs, a few at a time, away from the event loop."""

    def __init__(self, pepper: bytes) -> None:
        """Take the pepper, which is kept out of the database."""
        self._pepper = pepper
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._places = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        self._nobodys_hash = self._hasher.hash(self._peppered(NOBODY))

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Wait for one of the few places at which PINs are hashed and verified, and keep it for the block.

        Raises:
            TooBusy: None has become free in time.
        """
        if self._waiting >= WAITING_MAX:
            raise TooBusy
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), WAIT_SECONDS_MAX)
        except TimeoutError:
            raise TooBusy from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def hash(self, pin: str) -> str:
        """Hash a PIN for keeping, at a place."""
        return await asyncio.to_thread(self._hasher.hash, self._peppered(pin))

    async def verify(self, pin: str, *, pin_hash: str | None) -> bool:
        """Say, at a place, whether a PIN is the one that was hashed; no hash takes just as long, and is never it."""
        return await asyncio.to_thread(self._verify, pin, pin_hash or self._nobodys_hash) and pin_hash is not None

    def subject(self, email: str) -> bytes:
        """Name an account for counting failures: what is typed in the place of an email may be anything, a PIN too."""
        return self._peppered(f"log-in of {email}")

    def _verify(self, pin: str, pin_hash: str) -> bool:
        try:
            return self._hasher.verify(pin_hash, self._peppered(pin))
        except (VerificationError, InvalidHashError):
            return False

    def _peppered(self, text: str) -> bytes:
        return hmac.digest(self._pepper, text.encode(errors="surrogatepass"), hashlib.sha256)
