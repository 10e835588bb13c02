"""Run the process that applies transfers: a Celery worker, prefork, so that a crash takes no more than a child."""

import sys
from typing import Final

from shared.queue import LANES_QUEUE, WakeUps, celery_app
from shared.settings import WorkerSettings
from worker.lanes.tasks import register
from worker.lanes.worker import LaneWorker
from worker.wake_up_transport import take_only_what_is_readable

# A broker that stalls for longer than this is taken for gone. Source: faults.md, E4.
SOCKET_TIMEOUT_SECONDS: Final = 5.0


def run(settings: WorkerSettings) -> None:
    """Apply transfers until told to stop (SIGTERM, SIGINT)."""
    app = celery_app(settings.broker_url, socket_timeout_seconds=SOCKET_TIMEOUT_SECONDS)
    take_only_what_is_readable(app)
    register(
        app,
        lambda: LaneWorker(database_url=settings.database_url, wake_ups=WakeUps(settings.broker_url)),
    )
    worker = app.Worker(
        pool="prefork",
        concurrency=settings.lane_processes,
        queues=[LANES_QUEUE],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode or 0)
