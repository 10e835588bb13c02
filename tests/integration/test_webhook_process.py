"""Does the webhook process go through what a broker can do, hear its wake-ups, and stop when told?"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event

from celery.worker import state

from hishab.ports import LOOPBACK, free_ports
from shared.queue import DELIVER, WakeUps, celery_app
from tests.eventually import eventually
from tests.receiver import Reply, receiving
from tests.webhook_worker import KEY, WHSEC, owing
from worker.webhooks.tasks import Consumer, register

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 12.0


@contextmanager
def webhook_process(database_url: str, broker_url: str) -> Generator[subprocess.Popen[str]]:
    """Run `python -m worker.main webhooks`."""
    environment = {
        "HISHAB_DATABASE_URL": database_url,
        "HISHAB_BROKER_URL": broker_url,
        "HISHAB_WEBHOOK_SECRET_KEYS": KEY,
        "HISHAB_WEBHOOK_ALLOWED_CIDRS": "127.0.0.0/8",
        "HISHAB_WEBHOOK_HTTPS_ONLY": "false",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "worker.main", "webhooks"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_delivers_without_a_broker_and_stops_at_once(database_url: str) -> None:
    with (
        owing(database_url) as books,
        receiving() as receiver,
        webhook_process(database_url, f"redis://127.0.0.1:{free_ports(LOOPBACK)[0]}/0") as process,
    ):
        books.owe(books.endpoint(receiver.url))
        eventually(lambda: books.statuses() == {"delivered"}, seconds_max=START_SECONDS_MAX)
        assert receiver.received[0].verified(WHSEC)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS_MAX) == 0


def test_stops_soon_while_a_receiver_hangs(database_url: str, broker_url: str) -> None:
    release = Event()
    with (
        owing(database_url) as books,
        receiving(lambda _: Reply(wait_for=release)) as receiver,
        webhook_process(database_url, broker_url) as process,
    ):
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        eventually(lambda: receiver.received, seconds_max=START_SECONDS_MAX)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS_MAX) == 0
        release.set()
        assert books.delivery(delivery_id)["status"] == "pending"


def test_a_wake_up_is_heard(broker_url: str) -> None:
    heard = Event()
    wake_ups = WakeUps(broker_url)
    app = celery_app(broker_url, socket_timeout_seconds=5)
    register(app, wake_ups=wake_ups, look=heard.set)
    consumer = Consumer(app)
    consumer.start()

    def is_heard() -> bool:
        # One may be dropped by a broker that is slow, or stand for another that was sent before.
        wake_ups.send(DELIVER)
        return heard.is_set()

    eventually(is_heard, seconds_max=START_SECONDS_MAX)
    wake_ups.stop()
    consumer.stop()
    eventually(lambda: "wake-up-consumer" not in {thread.name for thread in threading.enumerate()})
    # Celery keeps the order to stop in a global, which would reach the next test that runs a worker.
    state.should_stop = None
