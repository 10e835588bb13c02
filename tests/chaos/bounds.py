"""See that a run leaves nothing growing: connections, messages, memory, transactions that hold others up (I11)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.watch import memory_by_part
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
    """What a system holds at a quiet moment."""

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
            return cls(
                connections=connections,
                sessions_held_up=old,
                broker_keys=broker.dbsize(),
                messages=broker.llen("hishab:lanes") + broker.llen("hishab:webhooks"),
                memory_mb=memory_by_part(world),
            )


def unbounded(before: Footprint, after: Footprint) -> tuple[int, list[str]]:
    """Say how much was compared, and what has grown."""
    limits = {
        "connections": (after.connections, before.connections + CONNECTIONS_MORE),
        "transactions open for long": (after.sessions_held_up, 0),
        "keys in the broker": (after.broker_keys, BROKER_KEYS_MAX),
        "messages in the broker": (after.messages, MESSAGES_MAX),
        **{
            f"MB in {part}": (held, before.memory_mb.get(part, held) * MEMORY_FACTOR + MEMORY_MORE_MB)
            for part, held in after.memory_mb.items()
        },
    }
    return len(limits), [
        f"{held:.0f} {what}, more than {most:.0f}" for what, (held, most) in limits.items() if held > most
    ]
