"""Take messages off Redis as kombu does, but end neither at what is no message nor when Redis is full or gone.

kombu 5.7 decodes a message in its event loop and lets the error through: Celery takes a ValueError for unrecoverable
and exits, and a worker that dies three times in a row ends a whole `hishab up`. And it gives back the room that a
message took only once Redis has noted the acknowledgement: if Redis goes while a task runs, a worker with room for one
waits for ever, alive, without a word. And a Redis that is full refuses to note that a message was taken, which Celery
takes for unrecoverable too.
"""

from queue import Empty
from typing import Final

import structlog
from celery import Celery
from kombu.transport import redis, virtual
from redis.exceptions import OutOfMemoryError

log = structlog.get_logger()

# What kombu raises for bytes that are no JSON, JSON that is no object, and an object without what a message has.
UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError)


class QoS(redis.QoS):
    """Room for so many messages, which what is done with gives back, whether Redis hears of it or not."""

    def append(self, message: object, delivery_tag: str) -> None:
        """Take a message."""
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            # Nobody would hand it out again, should this worker die now: upkeep comes for what is left of it.
            log.warning("wake_up.not_noted")
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Have done with a message."""
        try:
            super().ack(delivery_tag)
        except Exception:  # whatever it is, the caller is told
            # Redis hands the message out again after a while, which is harmless; with room, the loss is noticed.
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """A channel that drops what it cannot read."""

    QoS = QoS

    def _brpop_read(self, **options: object) -> object:
        try:
            return super()._brpop_read(**options)  # pyright: ignore (kombu's transport has no types)
        except UNREADABLE as error:
            log.warning("wake_up.unreadable", error=type(error).__name__)
            # As kombu says that there was nothing to take: what was popped is gone.
            raise Empty from error


class Transport(redis.Transport):
    """Redis, through such channels."""

    Channel = Channel


def take_only_what_is_readable(app: Celery) -> None:
    """Have an application's consumers leave what is no message."""
    app.conf.broker_transport = Transport
