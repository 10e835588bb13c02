"""Listen for webhooks as somebody in a mood, and remember what was heard and what was acknowledged."""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared import clock
from tests.receiver import Received, Reply

Mood = Callable[[Received], Reply]


def well(_: Received) -> Reply:
    """Acknowledge."""
    return Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request, and whether it was acknowledged; when, on the monotonic clock."""

    request: Received
    acknowledged: bool
    at_seconds: float = field(default_factory=clock.monotonic_seconds)


@dataclass(slots=True, kw_only=True)
class Ear:
    """What stands behind one endpoint. A fault changes its mood."""

    mood: Mood = well
    heard: list[Heard] = field(default_factory=list[Heard])

    def answer(self, request: Received) -> Reply:
        """Answer as the mood is."""
        reply = self.mood(request)
        self.heard.append(Heard(request=request, acknowledged=_acknowledges(reply)))
        return reply


def _acknowledges(reply: Reply) -> bool:
    hangs = reply.wait_for is not None or reply.endless or reply.resets or reply.drips
    return reply.status // 100 == 2 and not hangs
