"""What our Celery asks of the broker arrives there: time limits, a name space of its own, messages as JSON alone."""

import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.serialization import dumps
from packaging.version import Version

from hishab.process import Part
from shared.queue import APPLY_TASK, KEY_PREFIX, LANES_QUEUE, WakeUps, apply_in, celery_app
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.running_system import broker_client, running, tail


def database(broker_url: str, number: int) -> str:
    """The same broker, emptied, at a number of its own."""
    url = broker_url.removesuffix("/0") + f"/{number}"
    client: Any = broker_client(url)
    client.flushdb()
    return url


def prefixed(broker_url: str, prefix: str) -> Celery:
    app = celery_app(broker_url, socket_timeout_seconds=5)
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "global_keyprefix": prefix}
    return app


class TestSettings:
    # Source of all of them: faults.md, sections 1.2 and 1.3.
    WANTED: Mapping[str, object] = {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_acquire_timeout": 1,
        "task_create_missing_queues": False,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": 30,
        "task_soft_time_limit": None,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_prefetch_count_reduction": False,
        "worker_soft_shutdown_timeout": 10,
        "worker_max_tasks_per_child": 5_000,
        "worker_max_memory_per_child": 524_288,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
    }

    def test_of_celery(self) -> None:
        app = celery_app("redis://127.0.0.1:1/0", socket_timeout_seconds=5)
        assert {name: app.conf[name] for name in self.WANTED} == self.WANTED
        assert app.backend.__class__.__name__ == "DisabledBackend"
        assert sorted(app.amqp.queues) == ["lanes", "webhooks"]

    @pytest.mark.parametrize(("asked_seconds", "connect_seconds"), [(5, 3), (0.5, 0.5)])
    def test_reach_the_socket(self, broker_url: str, asked_seconds: float, connect_seconds: float) -> None:
        """Without both time limits a connection that is half open is never noticed (faults.md, E4)."""
        app = celery_app(broker_url, socket_timeout_seconds=asked_seconds)
        with app.connection_for_write() as connection:
            channel: Any = connection.channel()
            pooled: Any = channel.client.connection_pool.get_connection()
            assert (pooled.socket_timeout, pooled.health_check_interval) == (asked_seconds, 5)
            assert (pooled.socket_connect_timeout, pooled.socket_keepalive) == (connect_seconds, True)
            assert channel.visibility_timeout == 60
            assert (channel.unacked_restore_interval, channel.unacked_restore_throttle) == (5, 1)
            channel.client.connection_pool.release(pooled)

    def test_need_these_releases(self) -> None:
        """5.6 had two reconnect regressions (celery #10096, #10502), and restores what is unacked seldom (E6)."""
        assert min(Version(version("celery")), Version(version("kombu"))) >= Version("5.7.0")


class TestNameSpace:
    def test_two_prefixes_on_one_broker_do_not_see_each_other(self, broker_url: str) -> None:
        url = database(broker_url, 2)
        ours, others = celery_app(url, socket_timeout_seconds=5), prefixed(url, "other:")
        for app, lane in ((others, 1), (ours, 2), (ours, 3)):
            app.send_task(APPLY_TASK, kwargs={"version": 1, "lane": lane}, queue=LANES_QUEUE)
        with ours.connection_for_write() as connection:
            channel: Any = connection.channel()
            # Not acknowledged: what is under way has a place of its own as well.
            taken = [channel.basic_get(LANES_QUEUE) for _ in range(3)]
            assert [message and message.headers["kwargsrepr"][-2] for message in taken] == ["2", "3", None]
            assert {KEY_PREFIX + "unacked", "other:lanes"} <= self._keys(url)
            channel.queue_purge(LANES_QUEUE)
        assert all(key.startswith((KEY_PREFIX, "other:")) for key in self._keys(url))
        with others.connection_for_write() as connection:
            channel = connection.channel()
            assert channel.basic_get(LANES_QUEUE).headers["kwargsrepr"] == "{'version': 1, 'lane': 1}"

    def test_wake_ups_keep_to_it_too(self, broker_url: str) -> None:
        url = database(broker_url, 3)
        wake_ups = WakeUps(url)
        _sent(wake_ups)
        wake_ups.stop()
        assert {key for key in self._keys(url) if not key.startswith(KEY_PREFIX)} == set()
        assert f"{KEY_PREFIX}awake:lanes:1" in self._keys(url)

    @staticmethod
    def _keys(url: str) -> set[str]:
        client: Any = broker_client(url)
        return set(client.keys())


class _MakesDirectory:
    """Makes a directory where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


class TestMessages:
    def test_that_could_run_code_are_not_read_and_the_next_is(
        self, ledger: Ledger, broker_url: str, tmp_path: Path
    ) -> None:
        url = database(broker_url, 4)
        made = tmp_path / "made"
        _, _, pickled = dumps(_MakesDirectory(made), serializer="pickle")
        spelt = f"!!python/object/apply:os.mkdir ['{made}']"
        with celery_app(url, socket_timeout_seconds=5).connection_for_write() as connection:
            _put(connection, pickled, content_type="application/x-python-serialize", encoding="binary")
            _put(connection, spelt, content_type="application/x-yaml", encoding="utf-8")
            _put(connection, "{]", content_type="application/json", encoding="utf-8")
        log = tmp_path / "lanes.log"
        with running(_lane_worker(ledger.database_url, url), out=log, log=log):
            source_id, destination_id = ledger.wallet(holding=10), ledger.wallet()
            transfer_id = ledger.accept_one(source_id, destination_id, 1)
            wake_ups = WakeUps(url)
            _sent(wake_ups)
            wake_ups.stop()
            eventually(lambda: ledger.ending(transfer_id) == "succeeded", seconds_max=60, otherwise=lambda: tail(log))
        assert not made.exists()


def _sent(wake_ups: WakeUps) -> None:
    """Send one; a broker that is slow to answer has it dropped, which is no matter where another comes."""

    def is_sent() -> bool:
        wake_ups.send(apply_in(1))
        return wake_ups.figures.sent > 0

    eventually(is_sent)


def _put(connection: Connection, body: bytes | str, *, content_type: str, encoding: str) -> None:
    connection.Producer().publish(
        body,
        routing_key=LANES_QUEUE,
        content_type=content_type,
        content_encoding=encoding,
        headers={"task": APPLY_TASK, "id": token_hex(8)},
    )


def _lane_worker(database_url: str, broker_url: str) -> Part:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")}
    return Part(
        name="lanes",
        command=[sys.executable, "-m", "worker.main", "lanes"],
        environment={**ours, "HISHAB_DATABASE_URL": database_url, "HISHAB_BROKER_URL": broker_url},
    )
