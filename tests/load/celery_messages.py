"""Measure how many no-op messages Celery carries (R3), with its default settings and with ours.

The worker runs as `python -m tests.load.celery_messages default | ours BROKER_URL`.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu import Queue

from hishab.process import Part
from shared.clock import monotonic_seconds
from shared.queue import KEY_PREFIX, celery_app
from tests.eventually import eventually
from tests.load.servers import Servers
from tests.load.system import message_counter
from tests.running_system import running

QUEUE = "noop"
TASK = "tests.noop"
KINDS = ("default", "ours")
SOCKET_TIMEOUT_SECONDS = 5.0
SECONDS_MAX = 120.0


def measure(servers: Servers, *, messages: int) -> Mapping[str, float]:
    """R3: messages published and consumed a second, the better of both settings each."""
    broker_url = servers.broker.url.removesuffix("/0") + "/1"
    published, consumed = zip(*(_carry(servers, kind, broker_url, messages=messages) for kind in KINDS), strict=True)
    return {"R3 publish": max(published), "R3 consume": max(consumed)}


def _carry(servers: Servers, kind: str, broker_url: str, *, messages: int) -> tuple[float, float]:
    app = _app(kind, broker_url)
    broker = message_counter(broker_url)
    broker.flushdb()
    app.send_task(TASK, queue=QUEUE)  # connects
    start_seconds = monotonic_seconds()
    for _ in range(messages):
        app.send_task(TASK, queue=QUEUE)
    published = messages / (monotonic_seconds() - start_seconds)
    app.close()
    part = Part(name=kind, command=[sys.executable, "-m", __name__, kind, broker_url], environment={**os.environ})
    log = servers.place / "celery.log"
    with running(part, out=log, log=log):
        return published, _consumed_per_second(broker, prefix=KEY_PREFIX if kind == "ours" else "")


def _consumed_per_second(broker: Any, *, prefix: str) -> float:  # noqa: ANN401 (redis has no types)
    def waiting() -> int:
        return broker.llen(f"{prefix}{QUEUE}") + broker.hlen(f"{prefix}unacked")

    whole = waiting()
    eventually(lambda: waiting() < whole, seconds_max=SECONDS_MAX)
    start_seconds, left = monotonic_seconds(), waiting()
    eventually(lambda: waiting() == 0, seconds_max=SECONDS_MAX)
    return left / (monotonic_seconds() - start_seconds)


def _app(kind: str, broker_url: str) -> Celery:
    if kind == "default":
        return Celery("noop", broker=broker_url)
    app = celery_app(broker_url, socket_timeout_seconds=SOCKET_TIMEOUT_SECONDS)
    app.conf.update(task_queues=(Queue(QUEUE),))
    return app


def _work(kind: str, broker_url: str) -> None:
    app = _app(kind, broker_url)
    app.task(name=TASK)(_nothing)
    app.Worker(queues=[QUEUE], loglevel="WARNING", quiet=True).start()


def _nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    _work(*sys.argv[1:])
