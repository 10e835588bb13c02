"""Take wake-ups for lanes: the Celery edge of `apply.py`."""

from collections.abc import Callable
from functools import cache

import structlog
from celery import Celery

from shared.domain.lane import LANES_MAX
from shared.queue import APPLY_TASK, MESSAGE_VERSION
from worker.lanes.worker import LaneWorker

log = structlog.get_logger()


def register(app: Celery, new_worker: Callable[[], LaneWorker]) -> None:
    """Add the task that a wake-up for a lane runs.

    Args:
        new_worker: Called by the first task of a process, which is after its fork.
    """
    worker = cache(new_worker)

    @app.task(name=APPLY_TASK)
    def wake(*, version: object = None, lane: object = None, **_: object) -> None:
        # Whatever stands in the broker may come here, and must not keep a lane that exists waiting.
        if not isinstance(version, int) or not isinstance(lane, int) or not 1 <= lane <= LANES_MAX:
            log.warning("wake_up.unfit")
            return
        if version > MESSAGE_VERSION:
            log.warning("wake_up.from_the_future", version=version)
        worker().work(lane)
