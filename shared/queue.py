"""Wake the workers: queue names, task names and wake-ups, the one file that knows both ends.

A wake-up carries no money and no state, only the number of a lane. It may be lost, repeated or late without harm:
PostgreSQL is the queue, and upkeep finds whatever a lost wake-up leaves behind.
"""

import threading
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError as BrokerError
from redis import ConnectionPool, Redis, RedisError

from shared import crash_points

log = structlog.get_logger()

LANES_QUEUE: Final = "lanes"
WEBHOOKS_QUEUE: Final = "webhooks"
APPLY_TASK: Final = "hishab.lanes.apply"
DELIVER_TASK: Final = "hishab.webhooks.deliver"

MESSAGE_VERSION: Final = 1
"""A consumer reads this version and the one before."""

KEY_PREFIX: Final = "hishab:"

# A wake-up that was sent less than this ago and that no worker has taken yet stands for the next one too.
# For a lane longer than its worker stays with it: it takes no wake-up meanwhile, and one each half second would pile up
# for as long as there is load (269 after five minutes). If it is lost, upkeep works the lane, and takes the flag away.
LANE_AWAKE_MILLISECONDS: Final = 10_000
# Nobody else takes this one's flag away.
DELIVERIES_AWAKE_MILLISECONDS: Final = 500

# After sending, what is wanted gathers for so long. The lane that was just woken looks for this long anyway (a worker
# lingers for 20 ms), and each look at a flag costs accepting as much as three requests (one core, py-spy).
REST_SECONDS: Final = 0.02

# How long a broker that failed is left alone. Wake-ups of that time are dropped; upkeep stands in for them.
BROKER_PAUSE_SECONDS: Final = 1.0


CHILD_KIB_MAX: Final = 512 * 1024


def celery_app(broker_url: str, *, socket_timeout_seconds: float) -> Celery:
    """Make the Celery application that both ends share. Source of every setting: faults.md, sections 1.2 and 1.3."""
    app = Celery("hishab", broker=broker_url)
    app.conf.update(
        broker_transport_options={
            # Far above what a task may take, so that Redis does not hand out a task that is still being worked.
            "visibility_timeout": 60,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            # Both, or a half-open connection is never noticed.
            "socket_timeout": socket_timeout_seconds,
            "health_check_interval": 5,
            "socket_connect_timeout": min(3, socket_timeout_seconds),
            "socket_keepalive": True,
            "global_keyprefix": KEY_PREFIX,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_acquire_timeout=1,
        task_queues=(Queue(LANES_QUEUE), Queue(WEBHOOKS_QUEUE)),
        task_create_missing_queues=False,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # Hard, with no soft one before it: that would be raised anywhere, as an exception like those of a bad batch.
        task_time_limit=30,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        worker_soft_shutdown_timeout=10,
        # What leaks, leaks within bounds. A child has some 70 MiB; this is looked at between two tasks.
        worker_max_tasks_per_child=5_000,
        worker_max_memory_per_child=CHILD_KIB_MAX,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def broker_answers(broker_url: str, *, seconds_max: float) -> bool:
    """Say whether there is a broker."""
    try:
        with _redis(broker_url, seconds_max=seconds_max) as broker:
            return broker.ping()  # pyright: ignore[reportUnknownMemberType] (its arguments have no types)
    except (RedisError, OSError):
        return False


def _redis(broker_url: str, *, seconds_max: float) -> Redis:
    pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] (its arguments have no types)
        broker_url, socket_timeout=seconds_max, socket_connect_timeout=seconds_max
    )
    return Redis.from_pool(pool)


class WakeUp(NamedTuple):
    """Says which task to run, in which queue, and for which lane if it is for one.

    Attributes:
        awake_milliseconds: How long one that no worker has taken stands for the next one.
    """

    task: str
    queue: str
    lane: int | None
    awake_milliseconds: int

    @property
    def flag(self) -> str:
        """Name the key that says that this wake-up is on its way."""
        return f"{KEY_PREFIX}awake:{self.queue}:{self.lane}"


DELIVER: Final = WakeUp(DELIVER_TASK, WEBHOOKS_QUEUE, None, DELIVERIES_AWAKE_MILLISECONDS)


def apply_in(lane: int) -> WakeUp:
    """Make the wake-up for a lane."""
    return WakeUp(APPLY_TASK, LANES_QUEUE, lane, LANE_AWAKE_MILLISECONDS)


@dataclass(slots=True)
class WakeUpFigures:
    """What became of the wake-ups that one process wanted to send.

    Attributes:
        coalesced: Not sent, since another for the same stands for it.
        dropped: Not sent, since the broker was in trouble.
    """

    sent: int = 0
    coalesced: int = 0
    dropped: int = 0


class WakeUps:
    """Sends wake-ups, coalesced: at most one of a kind is on its way.

    Sending takes 1 to 2 ms of CPU and as long as the broker likes, so a thread does it and callers never wait. What
    cannot be sent is dropped.
    """

    def __init__(self, broker_url: str) -> None:
        """Connect nowhere yet: the first wake-up does, so that a process may fork in between."""
        self._app = celery_app(broker_url, socket_timeout_seconds=0.5)
        self._flags = _redis(broker_url, seconds_max=0.5)
        self.figures: Final = WakeUpFigures()
        self._publish = crash_points.around("queue.publish", self._publish_now)
        self._wanted: set[WakeUp] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, wake_up: WakeUp) -> None:
        """Ask that it be sent soon. Returns at once and never fails."""
        # What is wanted still is sent after this look, and so after whatever was committed before it.
        if wake_up in self._wanted:
            return
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
                self._thread.start()
            self._wanted.add(wake_up)
            self._changed.notify()

    def received(self, wake_up: WakeUp) -> None:
        """Note that a worker has it, *before* that worker looks for work: what comes after the look wakes anew."""
        try:
            self._flags.delete(wake_up.flag)
        except RedisError as error:
            # The flag goes by itself, or with upkeep's next look at the lane.
            log.debug("wake_up.flag_not_cleared", error=str(error))

    def stop(self) -> None:
        """Send what is wanted, and end."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while wanted := self._next():
            left = len(wanted)
            try:
                for wake_up in wanted:
                    self._publish(wake_up)
                    left -= 1
                self._rest()
            except (RedisError, BrokerError, OSError) as error:
                log.warning("wake_up.broker_unreachable", error=str(error))
                self._pause(dropped=left)
            except Exception:
                # A defect of ours in one wake-up must not end them all, silently.
                log.exception("wake_up.failed")
                self._pause(dropped=left)

    def _next(self) -> set[WakeUp]:
        """Wait until something is wanted; nothing is, at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._stopping.is_set())
            wanted, self._wanted = self._wanted, set()
            return wanted

    def _rest(self) -> None:
        """Let what is wanted gather meanwhile."""
        self._stopping.wait(REST_SECONDS)

    def _pause(self, *, dropped: int) -> None:
        self._stopping.wait(BROKER_PAUSE_SECONDS)
        with self._changed:
            self.figures.dropped += dropped + len(self._wanted)
            self._wanted.clear()

    def _publish_now(self, wake_up: WakeUp) -> None:
        if not self._flags.set(wake_up.flag, 1, nx=True, px=wake_up.awake_milliseconds):
            self.figures.coalesced += 1
            return
        self._app.send_task(
            wake_up.task,
            kwargs={"version": MESSAGE_VERSION, "lane": wake_up.lane},
            queue=wake_up.queue,
            retry=False,
        )
        self.figures.sent += 1
