"""Leave the broker away for a whole run: upkeep applies what nobody is woken for."""

import signal
from typing import Final

from tests.chaos.drills.drill import Drilled, await_empty
from tests.chaos.watch import Look

EMPTY_SECONDS_MAX: Final = 30.0


def without_a_broker(drilled: Drilled) -> None:
    """Kill it at the beginning; bring it back only when everything has ended, so that nothing ended by its help."""
    world = drilled.world
    with world.holding("broker"):
        world.broker.stop(signal.SIGKILL)
        world.pause(drilled.seconds)
        world.crowd.stop(seconds_max=EMPTY_SECONDS_MAX)
        if not await_empty(world, seconds_max=EMPTY_SECONDS_MAX):
            drilled.wrong.append(f"transfers are queued {EMPTY_SECONDS_MAX:.0f} s after the last was sent")
        drilled.figures["most queued"] = max(map(_queued, drilled.seen.looks), default=0)
        world.broker.start()


def _queued(look: Look) -> int:
    return look.queued or 0
