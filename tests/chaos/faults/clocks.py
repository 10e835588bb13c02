"""Set the clocks of Hishab's own processes an hour forward and back: none agrees with another, nor with PostgreSQL."""

import random
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

import psycopg

from shared import clock
from tests.chaos.clocks import PARTS
from tests.chaos.ears import Ear, Mood, well
from tests.chaos.fault import Doing, Fault, Need
from tests.chaos.world import World
from tests.receiver import Received, Reply

STEP_SECONDS = 3_600
OFF_MILLISECONDS = 1_000 * STEP_SECONDS // 2
"""Nothing else puts the time in an id so far off."""

TOLERANCE_SECONDS = 300
"""Of receivers. Source: the reference library of Standard Webhooks."""

# The id of a transfer is minted by the edge, that of its ending by a lane; PostgreSQL says when both were written.
READ_MINTED = """
SELECT 'accepted', id, created_at FROM transfers WHERE created_at >= %(since)s
UNION ALL
SELECT 'ended', id, created_at FROM events WHERE version = 2 AND created_at >= %(since)s
"""


def step(world: World, *, seconds: float, chance: random.Random) -> int:
    """Set one clock after the other an hour forward, or back, then all right; then the other way. Count the effects."""
    assert world.clocks is not None, "the system was started with the clock of this machine"
    seen: Counter[str] = Counter()
    with world.holding("clocks"), _watching(world, seen), _doubting(world, seen):
        for ahead_seconds in chance.sample((STEP_SECONDS, -STEP_SECONDS), 2):
            try:
                for part in chance.sample(PARTS, len(PARTS)):
                    world.clocks.set(part, ahead_seconds=ahead_seconds)
                    world.pause(seconds / (2 * len(PARTS)))
            finally:
                world.clocks.set_right()
    world.sometimes.update(seen)
    return seen.total()


@contextmanager
def _watching(world: World, seen: Counter[str]) -> Generator[None]:
    """Count what is accepted and ended meanwhile under an id that says another time."""
    since = clock.now()
    yield
    with suppress(psycopg.OperationalError), world.database() as connection:
        for what, id_, at in connection.execute(READ_MINTED, {"since": since}):
            # The upper 48 bits of a UUIDv7 are milliseconds. Source: RFC 9562, section 5.7.
            if abs((id_.int >> 80) - 1_000 * at.timestamp()) > OFF_MILLISECONDS:
                seen[f"transfers {what} by a clock that was off"] += 1


@contextmanager
def _doubting(world: World, seen: Counter[str]) -> Generator[None]:
    """Have receivers refuse what was not sent just now, as the reference library does, and count that."""
    ears = [person.ear for person in world.crowd.people if person.ear is not None]

    def doubt(request: Received) -> Reply:
        off_seconds = int(request.headers["webhook-timestamp"]) - clock.now().timestamp()
        if abs(off_seconds) <= TOLERANCE_SECONDS:
            return Reply()
        seen["webhooks refused for their time"] += 1
        return Reply(status=400)

    _put(ears, doubt)
    try:
        yield
    finally:
        _put(ears, well)


def _put(ears: Sequence[Ear], mood: Mood) -> None:
    for ear in ears:
        ear.mood = mood


FAULTS: Sequence[Fault] = (
    Doing(
        name="F16",
        what="clocks are an hour ahead, then an hour behind, some of them or all",
        does=step,
        seconds=16.0,
        needs=frozenset({Need.FAKED_CLOCK}),
    ),
)
