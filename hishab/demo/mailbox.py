"""Keep what a receiver was told, and hold it against what it was owed."""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from hishab.listen import Heard

Told: TypeAlias = tuple[str, str, str]
"""Where one was told, of which transfer, what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """How many different events were owed and came, how many came once more, and how many were not to be believed."""

    owed: int
    verified: int
    missing: int
    unowed: int
    repeated: int
    untrusted: int


class Mailbox:
    """Everything that came. Filled from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: Counter[Told] = Counter()
        self._transfer_ids: set[str] = set()
        self._untrusted = 0

    def put(self, heard: Heard) -> None:
        """Keep a request: its signature was found good, or not."""
        transfer = None if heard.event is None else heard.event.transfer
        with self._lock:
            if heard.event is None:
                self._untrusted += 1
            elif transfer is not None:
                self._transfer_ids.add(transfer.id)
                self._told[heard.path, transfer.id, heard.event.type] += 1

    @property
    def verified(self) -> int:
        """Return how many different events have come, each with a good signature."""
        return len(self._told)

    @property
    def transfers(self) -> int:
        """Return of how many transfers anybody has been told."""
        return len(self._transfer_ids)

    def events(self, owed: Collection[Told]) -> Events:
        """Hold what has come against what is owed."""
        with self._lock:
            came = self._told.keys()
            return Events(
                owed=len(owed),
                verified=len(came),
                missing=len(set(owed) - came),
                unowed=len(came - set(owed)),
                repeated=self._told.total() - len(came),
                untrusted=self._untrusted,
            )
