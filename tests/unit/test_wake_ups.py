"""Wake-ups are coalesced, carry a lane's number and nothing else, and never hold up or fail whoever sends one."""

import json
import threading
from collections.abc import Generator
from typing import Any

import pytest
from fakeredis import FakeStrictRedis, TcpFakeServer

from hishab.ports import LOOPBACK, free_ports
from shared.queue import DELIVER, WakeUps, apply_in
from tests.eventually import eventually
from worker.lanes.apply import DRAIN_SECONDS_MAX

NO_BROKER = "redis://127.0.0.1:1/0"


@pytest.fixture
def broker() -> Generator[TcpFakeServer]:
    server = TcpFakeServer(("127.0.0.1", free_ports(LOOPBACK)[0]), server_type="redis")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def wake_ups(broker: TcpFakeServer) -> Generator[WakeUps]:
    host, port = broker.server_address[:2]
    wake_ups = WakeUps(f"redis://{host!s}:{port}/0")
    yield wake_ups
    wake_ups.stop()


def messages(broker: TcpFakeServer, queue: str) -> list[dict[str, Any]]:
    """Read what waits in a queue, oldest first."""
    redis = FakeStrictRedis(server=broker.fake_server)
    return [json.loads(message) for message in reversed(redis.lrange(f"hishab:{queue}", 0, -1))]


def test_says_which_lane_and_nothing_else(broker: TcpFakeServer, wake_ups: WakeUps) -> None:
    wake_ups.send(apply_in(3))
    (message,) = eventually(lambda: messages(broker, "lanes"))
    assert message["headers"]["task"] == "hishab.lanes.apply"
    assert message["headers"]["kwargsrepr"] == "{'version': 1, 'lane': 3}"


def test_many_for_a_lane_are_one_until_a_worker_has_it(broker: TcpFakeServer, wake_ups: WakeUps) -> None:
    wake_ups.send(apply_in(1))
    eventually(lambda: messages(broker, "lanes"))
    wake_ups.send(apply_in(1))
    wake_ups.send(DELIVER)
    eventually(lambda: messages(broker, "webhooks"))
    # Sent in turn by one thread: the second wake-up for the lane would be there by now.
    assert len(messages(broker, "lanes")) == 1
    wake_ups.received(apply_in(1))
    wake_ups.send(apply_in(1))
    eventually(lambda: len(messages(broker, "lanes")) == 2)


def test_one_for_a_lane_stands_for_the_next_while_a_worker_stays_with_it(
    broker: TcpFakeServer, wake_ups: WakeUps
) -> None:
    wake_ups.send(apply_in(1))
    eventually(lambda: messages(broker, "lanes"))
    left_milliseconds = FakeStrictRedis(server=broker.fake_server).pttl("hishab:awake:lanes:1")
    assert left_milliseconds > 2 * 1_000 * DRAIN_SECONDS_MAX


def test_one_lane_says_nothing_of_another(broker: TcpFakeServer, wake_ups: WakeUps) -> None:
    wake_ups.send(apply_in(1))
    wake_ups.send(apply_in(2))
    eventually(lambda: len(messages(broker, "lanes")) == 2)


def test_without_a_broker_sending_returns_at_once_and_nothing_fails() -> None:
    wake_ups = WakeUps(NO_BROKER)
    # One that waited for the broker would wait half a second, and all of them longer than a test may take.
    for lane in range(1_000):
        wake_ups.send(apply_in(lane))
    wake_ups.received(apply_in(1))
    wake_ups.stop()


def test_what_is_wanted_is_sent_before_the_end(broker: TcpFakeServer, wake_ups: WakeUps) -> None:
    wake_ups.send(apply_in(1))
    wake_ups.stop()
    assert len(messages(broker, "lanes")) == 1
