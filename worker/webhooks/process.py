"""Run the process that delivers webhooks: the delivery loop in the main thread, Celery's consumer in another."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

import structlog
import uvloop

from shared.domain.retry import Schedule
from shared.queue import WakeUps, celery_app
from shared.secrets_at_rest import SecretsAtRest
from shared.settings import WorkerSettings
from worker.wake_up_transport import take_only_what_is_readable
from worker.webhooks.deliver import Deliverer
from worker.webhooks.guard import Guard
from worker.webhooks.in_hand import Limits
from worker.webhooks.record import Recorder
from worker.webhooks.send import Sender, new_session
from worker.webhooks.tasks import Consumer, register

log = structlog.get_logger()


def run(settings: WorkerSettings) -> None:
    """Deliver webhooks until SIGTERM or SIGINT.

    Raises:
        ValueError: A key or a range in the settings is none.
    """
    guard = Guard(settings.webhook_allowed_cidrs)
    secrets = SecretsAtRest(settings.webhook_secret_keys)
    # A quicker loop: most of what a delivery costs here is spent between the sockets and aiohttp.
    uvloop.run(_deliver(settings, guard=guard, secrets=secrets))


async def _deliver(settings: WorkerSettings, *, guard: Guard, secrets: SecretsAtRest) -> None:
    async with new_session(guard) as session:
        deliverer = _deliverer(settings, Sender(session, secrets=secrets, https_only=settings.webhook_https_only))
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, deliverer.stop)
        consumer = _consumer(settings, look=lambda: _in_loop(loop, deliverer.look))
        consumer.start()
        log.info("webhooks.started")
        await deliverer.run()
        consumer.stop()
        log.info("webhooks.stopped")


def _deliverer(settings: WorkerSettings, sender: Sender) -> Deliverer:
    schedule = Schedule(
        waits_seconds=settings.webhook_retry_seconds, overloaded_seconds=settings.webhook_overloaded_seconds
    )
    recorder = Recorder(
        disable_after_seconds=settings.webhook_disable_after_seconds, probe_seconds=schedule.probe_seconds
    )
    return Deliverer(
        sender.send,
        database_url=settings.database_url,
        recorder=recorder,
        schedule=schedule,
        limits=Limits(),
        log_all=settings.log_transfers,
    )


def _consumer(settings: WorkerSettings, *, look: Callable[[], None]) -> Consumer:
    app = celery_app(settings.broker_url, socket_timeout_seconds=5)
    take_only_what_is_readable(app)
    register(app, wake_ups=WakeUps(settings.broker_url), look=look)
    return Consumer(app)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    # The consumer may outlive the loop by a moment.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
