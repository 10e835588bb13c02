"""See that a run leaves nothing growing: connections, messages, dead rows, memory, transactions held open (I11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.queue import KEY_PREFIX, LANES_QUEUE, WEBHOOKS_QUEUE
from tests.chaos.dead_rows import left_by_autovacuum
from tests.chaos.memory import Growth, by_part, growths, held_now
from tests.chaos.watch import Watched
from tests.chaos.world import World

MEMORY_FACTOR = 2.0
MEMORY_MORE_MB = 100.0
CONNECTIONS_MORE = 30
"""Pools grow with the load, up to their size."""

BROKER_KEYS_MAX = 20
MESSAGES_MAX = 100
LONG_OPEN_SECONDS = 10

COUNT_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'hishab-%%'"
COUNT_LONG_OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND xact_start < clock_timestamp() - %s * interval '1 second'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a system holds at a quiet moment.

    Attributes:
        messages: Those that wait, and those that a worker has taken and not said to be done.
    """

    connections: int
    sessions_held_up: int
    broker_keys: int
    messages: int
    memory_mb: Mapping[str, float]

    @classmethod
    def of(cls, world: World) -> "Footprint":
        """Look."""
        with world.database() as connection, world.broker_client() as broker:
            (connections,) = connection.execute(COUNT_CONNECTIONS).fetchone() or (0,)
            (old,) = connection.execute(COUNT_LONG_OPEN, (LONG_OPEN_SECONDS,)).fetchone() or (0,)
            waiting = sum(broker.llen(f"{KEY_PREFIX}{queue}") for queue in (LANES_QUEUE, WEBHOOKS_QUEUE))
            return cls(
                connections=connections,
                sessions_held_up=old,
                broker_keys=broker.dbsize(),
                messages=waiting + broker.hlen(f"{KEY_PREFIX}unacked"),
                memory_mb=by_part(held_now(world)),
            )


def grown(world: World, *, before: Footprint, seen: Watched) -> tuple[int, list[str]]:
    """Look once more, and say how much was compared, and what has grown since."""
    return unbounded(before, Footprint.of(world), dead_rows=left_by_autovacuum(world), growths=growths(seen.held))


def unbounded(
    before: Footprint,
    after: Footprint,
    *,
    dead_rows: Mapping[str, tuple[int, float]],
    growths: Sequence[Growth],
) -> tuple[int, list[str]]:
    """Say how much was compared, and what has grown.

    Args:
        dead_rows: How many each table has, and may have.
        growths: Of the processes that lived for long.
    """
    limits = {
        "connections": (after.connections, before.connections + CONNECTIONS_MORE),
        "transactions open for long": (after.sessions_held_up, 0),
        "keys in the broker": (after.broker_keys, BROKER_KEYS_MAX),
        "messages in the broker": (after.messages, MESSAGES_MAX),
        **{f"dead rows in {table}": counted for table, counted in dead_rows.items()},
        **{
            f"MB in {part}": (held, before.memory_mb.get(part, held) * MEMORY_FACTOR + MEMORY_MORE_MB)
            for part, held in after.memory_mb.items()
        },
    }
    return len(limits) + len(growths), [
        *(f"{held:.0f} {what}, more than {most:.0f}" for what, (held, most) in limits.items() if held > most),
        *(str(growth) for growth in growths if not growth.is_bounded),
    ]
