"""Remember API keys for a moment: whoever sends a thousand transfers a second is looked up once in a while."""

from typing import Final

from shared.database.api_keys import ApiKey

REMEMBERED_SECONDS: Final = 5.0
"""Revoking a key acts within this time."""

REMEMBERED_MAX: Final = 10_000


class KnownKeys:
    """The keys that were found good a moment ago, by their SHA-256. One that was not found is looked up anew."""

    def __init__(self) -> None:
        """Know nobody."""
        self._keys: dict[bytes, tuple[float, ApiKey]] = {}

    def find(self, key_hash: bytes, *, now_seconds: float) -> ApiKey | None:
        """Return a key that was kept less than five seconds ago."""
        kept_seconds, key = self._keys.get(key_hash, (0.0, None))
        return key if now_seconds - kept_seconds < REMEMBERED_SECONDS else None

    def keep(self, key_hash: bytes, key: ApiKey, *, now_seconds: float) -> None:
        """Remember a key that was looked up at that time."""
        if len(self._keys) >= REMEMBERED_MAX:
            self._keys.clear()
        self._keys[key_hash] = (now_seconds, key)
