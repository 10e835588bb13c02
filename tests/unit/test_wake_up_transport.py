"""A worker outlives a broker that goes while a task runs, and one that is full, and takes messages afterwards."""

from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

from worker.wake_up_transport import Channel, QoS


class GoneBroker:
    """A channel whose broker does not answer any more."""

    unacked_key = unacked_index_key = "unacked"
    do_restore = False

    @contextmanager
    def conn_or_acquire(self, client: object = None) -> Generator[object]:
        raise redis.ConnectionError("gone")
        yield


def test_an_acknowledgement_that_is_not_heard_gives_its_room_back() -> None:
    room: Any = QoS(GoneBroker(), prefetch_count=1)
    # As it is when a message was taken while the broker was there.
    virtual.QoS.append(room, "message", "tag")
    assert not room.can_consume()
    with pytest.raises(redis.ConnectionError):
        room.ack("tag")
    assert room.can_consume()


class FullBroker:
    """A channel whose broker has no memory left for anything more."""

    unacked_key = unacked_index_key = "unacked"
    do_restore = False

    @contextmanager
    def conn_or_acquire(self, client: object = None) -> Generator["FullBroker"]:
        yield self

    def pipeline(self) -> "FullBroker":
        return self

    def zadd(self, *_: object) -> "FullBroker":
        return self

    def hset(self, *_: object) -> "FullBroker":
        return self

    def execute(self) -> None:
        raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")


def test_a_message_that_a_full_broker_cannot_note_is_worked_all_the_same() -> None:
    room: Any = QoS(FullBroker(), prefetch_count=1)
    room.append(SimpleNamespace(delivery_info={"exchange": "", "routing_key": "lanes"}, _raw={}), "tag")
    assert not room.can_consume()


def test_channels_have_such_room() -> None:
    assert Channel.QoS is QoS
