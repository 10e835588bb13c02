"""Take wake-ups for webhooks: the Celery edge of `deliver.py`. It only says that there is something to look for."""

import threading
from collections.abc import Callable
from typing import Final

import structlog
from celery import Celery
from celery.worker import WorkController, state

from shared import clock
from shared.queue import DELIVER, DELIVER_TASK, MESSAGE_VERSION, WEBHOOKS_QUEUE, WakeUps

log = structlog.get_logger()

PAUSE_SECONDS: Final = 5.0
"""How long a consumer that gave up is left alone."""

STOP_SECONDS_MAX: Final = 3.0


def register(app: Celery, *, wake_ups: WakeUps, look: Callable[[], None]) -> None:
    """Add the task that a wake-up for webhooks runs.

    Args:
        look: Called in the thread of the consumer.
    """

    @app.task(name=DELIVER_TASK)
    def wake(*, version: object = None, **_: object) -> None:
        if isinstance(version, int) and version > MESSAGE_VERSION:
            log.warning("wake_up.from_the_future", version=version)
        wake_ups.received(DELIVER)
        look()


class Consumer:
    """Takes wake-ups from the broker in a thread. Without it webhooks go out as well, up to a second later."""

    def __init__(self, app: Celery) -> None:
        """Take an application that the task is registered with."""
        self._app = app
        self._stopping = threading.Event()
        # Daemon, since a broker that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="wake-up-consumer", daemon=True)

    def start(self) -> None:
        """Begin to take wake-ups."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more of them."""
        self._stopping.set()
        # Celery's own way to ask for a warm shutdown from outside its thread: the code to exit with.
        state.should_stop = 0
        self._thread.join(timeout=STOP_SECONDS_MAX)

    def _run(self) -> None:
        while not self._stopping.is_set():
            started_seconds = clock.monotonic_seconds()
            WorkController(
                app=self._app,
                pool="solo",
                queues=[WEBHOOKS_QUEUE],
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            ).start()
            lived_seconds = clock.monotonic_seconds() - started_seconds
            if not self._stopping.wait(PAUSE_SECONDS):
                log.warning("webhooks.consumer_ended", lived_seconds=round(lived_seconds))
