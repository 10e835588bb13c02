"""Wait until all is quiet after a run: everything is accepted, has ended, and was told."""

from collections.abc import Callable
from contextlib import suppress

import httpx2
import psycopg

from shared import clock
from tests.chaos.world import World

QUIET_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.2

COUNT_WAITING = """
SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')
"""


def quiet(world: World, *, say: Callable[[str], None]) -> tuple[float, list[str]]:
    """Let it become quiet; say after how many seconds it was, and what was still to be done then."""
    began_seconds = clock.monotonic_seconds()
    seconds_max = 0.0 if world.system.has_ended() else QUIET_SECONDS_MAX
    unsettled = [f"{key} was never accepted" for key in world.crowd.stop(seconds_max=seconds_max)]
    say(f"{len(unsettled)} requests are not settled")
    waiting = _waiting(world)
    while waiting and clock.monotonic_seconds() - began_seconds < seconds_max:
        clock.pause(LOOK_SECONDS)
        waiting = _waiting(world)
    return clock.monotonic_seconds() - began_seconds, [*unsettled, *waiting]


def _waiting(world: World) -> list[str]:
    """Say what is still to be done."""
    found: list[str] = []
    try:
        with world.database() as connection:
            queued, pending = connection.execute(COUNT_WAITING).fetchone() or (0, 0)
            found += [f"{queued} transfers are queued"] if queued else []
            found += [f"{pending} webhooks are not delivered"] if pending else []
    except psycopg.OperationalError as error:
        found.append(f"PostgreSQL is away: {error}")
    with suppress(httpx2.HTTPError):
        answer = httpx2.get(f"{world.system.url}/readyz", timeout=10, trust_env=False)
        checks = answer.json()["checks"]
        return found + [f"{name} is {state}" for name, state in checks.items() if state != "ok"]
    return [*found, "the edge does not answer"]
