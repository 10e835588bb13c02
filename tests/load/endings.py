"""Learn when transfers had ended for all to see: the moment a lane says, after its commit, how far it has come."""

import threading
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from shared.clock import monotonic_seconds

LOOK_SECONDS = 0.05
LISTEN = "LISTEN hishab_applied"
COUNT_ENDED = "SELECT coalesce(sum(event_number), 0)::bigint FROM lanes WHERE lane > 0"
END_SECONDS_MAX = 300.0


class Endings:
    """How far the lanes have come, and since when that is known; times are of the machine's monotonic clock.

    A lane numbers its endings, and its notification says the last number of a batch that was committed just before.
    """

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._connection.execute(LISTEN)
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._known: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._counted: list[tuple[int, float]] = [(self._count(), monotonic_seconds())]
        self._thread = threading.Thread(target=self._listen, name="endings", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """How many transfers have ended in this database."""
        with self._changed:
            return self._counted[-1][0]

    def await_count(self, count: int) -> float:
        """Wait until so many transfers have ended, and say when that was known."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._counted[-1][0] >= count, timeout=END_SECONDS_MAX)
            assert done, f"{self._counted[-1][0]} of {count} transfers have ended after {END_SECONDS_MAX} s"
            return next(seconds for counted, seconds in self._counted if counted >= count)

    def known_seconds(self, *, lane: int, number: int) -> float:
        """Say when it was known that an ending with this number was committed."""
        known = self._known[lane]
        return known[bisect_left(known, (number, 0.0))][1]

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        self._thread.join()
        self._connection.close()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            notes = [(note.payload, monotonic_seconds()) for note in self._notes()]
            with self._changed:
                for payload, seconds in notes:
                    lane, _, number = payload.partition(":")
                    insort(self._known[int(lane)], (int(number), seconds))
                # A notification may be lost with the process that was to send it: the tables say what has ended.
                if (count := self._count()) > self._counted[-1][0]:
                    self._counted.append((count, notes[-1][1] if notes else monotonic_seconds()))
                    self._changed.notify_all()

    def _notes(self) -> Generator[psycopg.Notify]:
        return self._connection.notifies(timeout=LOOK_SECONDS, stop_after=1)

    def _count(self) -> int:
        row = self._connection.execute(COUNT_ENDED).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def endings_in(database_url: str) -> Generator[Endings]:
    """Listen until the block is left."""
    endings = Endings(database_url)
    try:
        yield endings
    finally:
        endings.stop()
