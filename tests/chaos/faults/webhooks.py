"""Break what webhooks go through: receivers that refuse, hang, drip and break off, a worker that dies of success."""

import random
import threading
from collections import Counter
from collections.abc import Sequence

from tests.chaos.ears import Ear, Mood, well
from tests.chaos.fault import Doing, Fault
from tests.chaos.world import World
from tests.receiver import Received, Reply

TRIES = 3
HEARD_SECONDS_MAX = 10.0


def upset_receivers(world: World, *, seconds: float, chance: random.Random) -> int:
    """Have each receiver answer in another bad way; count what they did not acknowledge."""
    release = threading.Event()
    ears = _ears(world)
    before = {id(ear): len(ear.heard) for ear in ears}
    moods: list[Mood] = [
        lambda _: Reply(status=500),
        lambda _: Reply(status=500, wait_for=release),
        lambda _: Reply(status=500, body=b"slowly", drips=True),
        lambda _: Reply(resets=True),
        lambda _: Reply(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"}),
        _after_tries(),
    ]
    for ear, mood in zip(ears, chance.sample(moods, len(moods)), strict=False):
        ear.mood = mood
    try:
        world.pause(seconds)
    finally:
        for ear in ears:
            ear.mood = well
        release.set()
    refused = sum(not heard.acknowledged for ear in ears for heard in ear.heard[before[id(ear)] :])
    world.sometimes["webhooks not acknowledged"] += refused
    return refused


def kill_after_success(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill the worker when a receiver has just acknowledged, before that is written down."""
    del seconds
    acknowledged = threading.Event()

    def acknowledge(_: Received) -> Reply:
        acknowledged.set()
        return Reply()

    with world.holding("webhooks"):
        world.system.await_age("webhooks")
        ear = chance.choice(_ears(world))
        ear.mood = acknowledge
        try:
            killed = world.system.kill("webhooks") if acknowledged.wait(HEARD_SECONDS_MAX) else None
        finally:
            ear.mood = well
        if killed is not None:
            world.system.await_restart("webhooks", of=killed)
    return int(killed is not None)


def _ears(world: World) -> list[Ear]:
    return [person.ear for person in world.crowd.people if person.ear is not None]


def _after_tries() -> Mood:
    """Refuse each event a few times."""
    tries: Counter[str] = Counter()

    def refuse(request: Received) -> Reply:
        event_id = request.headers["webhook-id"]
        tries[event_id] += 1
        return Reply(status=503 if tries[event_id] < TRIES else 200)

    return refuse


FAULTS: Sequence[Fault] = (
    Doing(name="F17", what="receivers refuse, hang, drip, break off and redirect", does=upset_receivers, seconds=8.0),
    Doing(name="F18", what="the webhook worker dies after a receiver's 200", does=kill_after_success),
)
