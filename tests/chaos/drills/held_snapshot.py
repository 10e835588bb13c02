"""Hold a snapshot open under a full load, as a backup does, and compare the throughput with that before."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import psycopg

from shared import clock
from tests.chaos.drills.drill import Drilled
from tests.chaos.watch import Look

SENDERS: Final = 4
ITEMS: Final = 200
QUEUED_MAX: Final = 4_000
BEFORE_SHARE: Final = 0.25
"""Of the time that the snapshot is held, how long throughput is measured before; as long as its end."""

THROUGHPUT_SHARE_MIN: Final = 0.5
COUNT_DEAD: Final = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = %s"


def during_a_snapshot(drilled: Drilled) -> None:
    """Send batches as fast as they end, for a quarter of the time without the snapshot, and then with it."""
    world, stopping = drilled.world, threading.Event()
    window_seconds = drilled.seconds * BEFORE_SHARE
    senders = [threading.Thread(target=_send, args=(drilled, n, stopping)) for n in range(SENDERS)]
    with ExitStack() as stack:
        stack.callback(lambda: [sender.join() for sender in senders])
        stack.callback(stopping.set)
        for sender in senders:
            sender.start()
        world.pause(window_seconds)
        held_seconds = clock.monotonic_seconds()
        backup = stack.enter_context(psycopg.connect(world.database_url))
        backup.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        backup.execute("SELECT count(*) FROM queue")
        world.pause(drilled.seconds)
        over_seconds = clock.monotonic_seconds()
        with world.database() as connection:
            dead = {name: connection.execute(COUNT_DEAD, (name,)).fetchone() for name in ("queue", "wallets", "lanes")}
    before = _ended_per_second(drilled.seen.looks, since=held_seconds - window_seconds, until=held_seconds)
    last = _ended_per_second(drilled.seen.looks, since=over_seconds - window_seconds, until=over_seconds)
    drilled.figures |= {
        "transfers ended a second": {"before": round(before), "at the end of the snapshot": round(last)},
        "share": round(last / before, 2),
        "dead rows at the end": {name: row and row[0] for name, row in dead.items()},
    }
    if last < before * THROUGHPUT_SHARE_MIN:
        drilled.wrong.append(f"of {before:.0f} transfers a second {last:.0f} were left")


def _send(drilled: Drilled, number: int, stopping: threading.Event) -> None:
    """Pay everybody in turn, again and again, while not too much waits to be applied."""
    crowd = drilled.world.crowd
    payees = [person.number for person in crowd.people if person.number != number]
    payments = [(payees[n % len(payees)], 1) for n in range(ITEMS)]
    while not stopping.is_set():
        looks = drilled.seen.looks
        if looks and (looks[-1].queued or 0) > QUEUED_MAX:
            stopping.wait(0.05)
        else:
            crowd.batch(source=number, payments=payments)


def _ended_per_second(looks: Sequence[Look], *, since: float, until: float) -> float:
    known = [
        (look.at_seconds, look.ended) for look in looks if look.ended is not None and since <= look.at_seconds <= until
    ]
    (first_seconds, first), (last_seconds, last) = known[0], known[-1]
    return (last - first) / (last_seconds - first_seconds)
