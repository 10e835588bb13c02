"""Keep what one process has claimed: what waits to be sent, and what is under way, fairly between endpoints."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.database.claims import ClaimedDelivery
from shared.domain.endpoint_health import FAILING_FROM

AHEAD_SECONDS: Final = 0.5
"""An endpoint's claims may be worth this much of its time, so that sending never waits for the next claim."""

AHEAD_MAX: Final = 512

KNOWN_MAX: Final = 10_000
"""Of how many endpoints it is remembered how quick they are."""

_UNKNOWN_SECONDS: Final = 1.0
"""What an endpoint is taken to need for an answer until it has given some, and again once it failed."""

_WEIGHT: Final = 0.2
"""Of the newest send in the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is under way at once.

    Attributes:
        sends_max: By this process.
        endpoint_sends_max: To one endpoint, so that one that hangs holds a share and not all.
        lease_seconds: How long a claim lasts: a wait for its turn, a whole send of 15 s, and recording it.
        waiting_seconds_max: How long a claim may wait for its turn; then it is given back.
    """

    sends_max: int = 512
    endpoint_sends_max: int = 16
    lease_seconds: float = 30.0
    waiting_seconds_max: float = 10.0

    @property
    def in_hand_max(self) -> int:
        """How much may be claimed at once: what is under way, and as much again that waits for its turn."""
        return 2 * self.sends_max


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    delivery: ClaimedDelivery
    until_seconds: float


class InHand:
    """What is claimed by this process. Lives in the event loop; makes no calls."""

    def __init__(self, limits: Limits) -> None:
        """Begin with empty hands."""
        self._limits = limits
        self._waiting: defaultdict[UUID, deque[_Waiting]] = defaultdict(deque)
        self._under_way: Counter[UUID] = Counter()
        # Endpoints with something waiting and room for another send, in turns.
        self._turns: dict[UUID, None] = {}
        self._mean_seconds: dict[UUID, float] = {}
        # In a row, for as long as anything of theirs is in hand.
        self._failures: Counter[UUID] = Counter()
        self.waiting_count = 0
        self.under_way_count = 0

    def __len__(self) -> int:
        """Count all of it."""
        return self.waiting_count + self.under_way_count

    def take(self, claimed: Iterable[ClaimedDelivery], *, now_seconds: float) -> None:
        """Take what was claimed just now."""
        until_seconds = now_seconds + self._limits.waiting_seconds_max
        for delivery in claimed:
            self._waiting[delivery.endpoint_id].append(_Waiting(delivery=delivery, until_seconds=until_seconds))
            self.waiting_count += 1
            self._take_turn(delivery.endpoint_id)

    def next(self) -> ClaimedDelivery | None:
        """Choose what is sent next and count it as under way; None if nothing may be sent at this moment."""
        if not self._turns or self.under_way_count >= self._limits.sends_max:
            return None
        endpoint_id = next(iter(self._turns))
        del self._turns[endpoint_id]
        delivery = self._waiting[endpoint_id].popleft().delivery
        self.waiting_count -= 1
        self.under_way_count += 1
        self._under_way[endpoint_id] += 1
        self._take_turn(endpoint_id)
        return delivery

    def end(self, delivery: ClaimedDelivery, *, seconds: float, delivered: bool) -> None:
        """Note that a send has ended, and how long it took."""
        endpoint_id = delivery.endpoint_id
        self.under_way_count -= 1
        self._under_way[endpoint_id] -= 1
        mean_seconds = self._mean_seconds.get(endpoint_id, _UNKNOWN_SECONDS)
        if delivered:
            self._mean_seconds[endpoint_id] = mean_seconds + _WEIGHT * (seconds - mean_seconds)
            self._failures.pop(endpoint_id, None)
        else:
            self._mean_seconds.pop(endpoint_id, None)
            self._failures[endpoint_id] += 1
            if self._fails(endpoint_id):
                self._turns.pop(endpoint_id, None)
        if len(self._mean_seconds) > KNOWN_MAX:
            self._mean_seconds.clear()
        self._take_turn(endpoint_id)

    def give_back(self, *, now_seconds: float) -> list[ClaimedDelivery]:
        """Let go of what has waited too long, and of all that waits for endpoints that keep failing."""
        given: list[ClaimedDelivery] = []
        for endpoint_id, waiting in self._waiting.items():
            fails = self._fails(endpoint_id)
            while waiting and (fails or waiting[0].until_seconds < now_seconds):
                given.append(waiting.popleft().delivery)
        if given:
            self.waiting_count -= len(given)
            self._turns = {endpoint_id: None for endpoint_id in self._turns if self._waiting[endpoint_id]}
        return given

    def counts(self) -> Counter[UUID]:
        """Count what is in hand for each endpoint; forget those for which nothing is."""
        for endpoint_id in [endpoint_id for endpoint_id, waiting in self._waiting.items() if not waiting]:
            del self._waiting[endpoint_id]
        self._under_way = +self._under_way
        self._failures = Counter({key: n for key, n in self._failures.items() if self._under_way[key]})
        return self._under_way + Counter({endpoint_id: len(waiting) for endpoint_id, waiting in self._waiting.items()})

    def windows(self) -> dict[UUID, int]:
        """Say how much the endpoints that answered lately may have in hand: the quicker they do, the more."""
        return {endpoint_id: self._window(mean_seconds) for endpoint_id, mean_seconds in self._mean_seconds.items()}

    def _window(self, mean_seconds: float) -> int:
        least = self._limits.endpoint_sends_max
        return max(least, min(AHEAD_MAX, round(least * AHEAD_SECONDS / max(mean_seconds, 0.001))))

    def _take_turn(self, endpoint_id: UUID) -> None:
        has_room = self._under_way[endpoint_id] < self._limits.endpoint_sends_max and not self._fails(endpoint_id)
        if has_room and self._waiting.get(endpoint_id):
            self._turns.setdefault(endpoint_id)

    def _fails(self, endpoint_id: UUID) -> bool:
        """Say whether an endpoint keeps failing: what waits for it is given back, to be tried one at a time."""
        return self._failures[endpoint_id] >= FAILING_FROM
