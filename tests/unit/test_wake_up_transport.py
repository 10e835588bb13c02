"""A worker whose broker goes while a task runs has room for the next message, and so notices that the broker went."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from kombu.transport import virtual

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


def test_channels_have_such_room() -> None:
    assert Channel.QoS is QoS
