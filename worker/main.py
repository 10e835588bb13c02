"""Compose the background processes: `python -m worker.main lanes | webhooks | upkeep`."""

import importlib
import sys
import warnings
from collections.abc import Mapping
from typing import Final

from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

from shared import crash_points
from shared.crash_reports import report_crashes
from shared.settings import WorkerSettings, read_settings
from shared.telemetry import configure_logging

ROLES: Final[Mapping[str, str]] = {
    "lanes": "worker.lanes.process",
    "webhooks": "worker.webhooks.process",
    "upkeep": "worker.upkeep.loop",
}


def main() -> None:
    """Run the process that is named on the command line until it is told to stop."""
    role = ROLES.get(sys.argv[1]) if len(sys.argv) == 2 else None  # noqa: PLR2004 (the program and its role)
    if role is None:
        sys.exit(f"usage: python -m worker.main {' | '.join(ROLES)}")
    settings = read_settings(WorkerSettings)
    configure_logging(settings.log_format)
    report_crashes(settings.sentry_dsn, process=sys.argv[1])
    if settings.crash_at:
        crash_points.arm(crash_points.parse(settings.crash_at))
    # Celery would otherwise set up logging of its own.
    setup_logging.connect(_leave_logging, weak=False)
    # It warns of running as root because of pickle, which nobody here accepts.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Imported now: a process starts sooner, and stays smaller, without what the others need.
    importlib.import_module(role).run(settings)


def _leave_logging(**_: object) -> None:
    pass


if __name__ == "__main__":
    main()
