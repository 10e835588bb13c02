"""Say whether a worker does its work, for a container's health check: `python -m worker.is_working lanes`.

A process may live, and even answer, and take no wake-up; so none is asked. What counts is that the one on this machine
has had PostgreSQL do something just now. Who waits for wake-ups is sent one, which harms nobody.
"""

import sys
from collections.abc import Mapping
from typing import Final

import psycopg

from shared import clock
from shared.database.at_work import is_at_work, read_time
from shared.database.connections import API, connect
from shared.queue import WakeUp, WakeUps, apply_in
from shared.settings import Settings, read_settings
from shared.telemetry import first_line

# The others look by themselves, at least once a second, and so do without the broker.
WAKE_UPS: Final[Mapping[str, WakeUp | None]] = {"lanes": apply_in(1), "webhooks": None, "upkeep": None}

LOOKS_MAX: Final = 20
LOOK_SECONDS: Final = 0.5
"""Each look comes with a wake-up: of several workers the broker lets each have its turn."""


def main() -> None:
    """End with 0 if it does, and otherwise with 1 and a sentence."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""  # noqa: PLR2004 (the program and the role)
    if role not in WAKE_UPS:
        sys.exit(f"usage: python -m worker.is_working {' | '.join(WAKE_UPS)}")
    settings = read_settings(Settings)
    try:
        is_working = look(settings, role=role)
    except psycopg.Error as error:
        sys.exit(f"PostgreSQL cannot be asked: {first_line(error)}")
    if not is_working:
        sys.exit(f"{role} has had nothing done by PostgreSQL for {LOOKS_MAX * LOOK_SECONDS:.0f} s.")


def look(settings: Settings, *, role: str) -> bool:
    """Say whether the worker does something within ten seconds.

    Raises:
        psycopg.Error: PostgreSQL cannot be asked.
    """
    wake_ups, wake_up = WakeUps(settings.broker_url), WAKE_UPS[role]
    with connect(settings.database_url, application_name="hishab-health", timeouts=API) as connection:
        since = read_time(connection)
        for _ in range(LOOKS_MAX):
            if wake_up is not None:
                wake_ups.send(wake_up)
            clock.pause(LOOK_SECONDS)
            if is_at_work(connection, application_name=f"hishab-{role}", since=since):
                return True
    return False


if __name__ == "__main__":
    main()
