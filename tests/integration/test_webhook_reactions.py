"""What does the sender do about each thing that a receiver can do to it?"""

import gzip
import itertools
from collections.abc import Callable, Iterator
from threading import Event
from typing import Final

import pytest
from psycopg.errors import LockNotAvailable

from shared.database.claims import write_off
from shared.domain.endpoint_health import FAILING_FROM
from tests.eventually import eventually
from tests.receiver import Received, Receiver, Reply, receiving
from tests.webhook_worker import Owing, delivering, owing
from worker.webhooks.in_hand import Limits
from worker.webhooks.send import SEND_SECONDS_MAX

SHORT_SECONDS: Final = 3.0
"""For what has to be given up; but whoever answers on a busy machine must not be."""

RECORD_SECONDS_MAX: Final = 20.0

BOMB: Final = gzip.compress(bytes(50_000_000))
"""50 kB that would be 50 MB."""


@pytest.fixture
def books(database_url: str) -> Iterator[Owing]:
    with owing(database_url) as books:
        yield books


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def first(reply: Reply) -> Callable[[Received], Reply]:
    """Answer like this once, and well ever after."""
    replies = iter([reply])
    return lambda _: next(replies, Reply())


def seconds_for(reply: Reply) -> float:
    """Say how long a send of which this becomes may take."""
    return SHORT_SECONDS if reply.wait_for is not None or reply.drips else SEND_SECONDS_MAX


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (Reply(status=500), 500, None),
        (Reply(status=404, body=b"\xff\xfe\0"), 404, None),
        (Reply(status=302, headers={"Location": "/elsewhere"}), 302, None),
        (Reply(status=429), 429, None),
        (Reply(resets=True), None, "connection_failed"),
        (Reply(wait_for=Event()), None, "timeout"),
        (Reply(status=500, drips=True, body=b"drip"), 500, None),
        (Reply(status=500, endless=True, body=b"x" * 10_000), 500, None),
        (Reply(status=500, headers={"Content-Encoding": "gzip"}, body=BOMB), 500, None),
        (Reply(status=500, headers={"Content-Encoding": "br"}, body=b"no brotli"), 500, None),
    ],
    ids=["fails", "garbles", "redirects", "overloaded", "resets", "hangs", "drips", "endless", "bomb", "no brotli"],
)
def test_one_that_does_this_is_tried_again(
    database_url: str, books: Owing, receiver: Receiver, reply: Reply, status: int | None, error: str | None
) -> None:
    receiver.answer = first(reply)
    (delivery_id,) = books.owe(books.endpoint(receiver.url))
    with delivering(database_url, send_seconds_max=seconds_for(reply)):
        eventually(lambda: books.statuses() == {"delivered"})
    if reply.wait_for is not None:
        reply.wait_for.set()
    failed, delivered = books.attempts(delivery_id)
    assert (failed["http_status"], failed["error"]) == (status, error)
    assert delivered["http_status"] == 200
    assert len(set(receiver.ids())) == len({request.body for request in receiver.received}) == 1
    assert len(str(failed["answer_excerpt"]).encode()) <= 2_048


def test_a_bomb_is_kept_as_it_came(database_url: str, books: Owing, receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"A" * 100))
    (delivery_id,) = books.owe(books.endpoint(receiver.url))
    with delivering(database_url):
        eventually(lambda: books.statuses() == {"delivered"})
    assert "AAAA" not in str(books.attempts(delivery_id)[0]["answer_excerpt"])


def test_one_that_drips_a_good_answer_has_acknowledged(database_url: str, books: Owing, receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(drips=True, body=b"drip")
    books.owe(books.endpoint(receiver.url))
    with delivering(database_url, send_seconds_max=SHORT_SECONDS):
        eventually(lambda: books.statuses() == {"delivered"})


@pytest.mark.parametrize("reply", [Reply(status=429), Reply(wait_for=Event())], ids=["429", "hangs"])
def test_one_that_is_overloaded_is_left_alone_for_longer(
    database_url: str, books: Owing, receiver: Receiver, reply: Reply
) -> None:
    receiver.answer = first(reply)
    (delivery_id,) = books.owe(books.endpoint(receiver.url))
    with delivering(database_url, send_seconds_max=seconds_for(reply), overloaded_seconds=500.0):
        eventually(lambda: books.attempts(delivery_id))
    if reply.wait_for is not None:
        reply.wait_for.set()
    assert 490 <= books.wait_seconds(delivery_id) <= 600 + RECORD_SECONDS_MAX


@pytest.mark.parametrize(("asked", "expected"), [("150", 150), ("100000", 200), ("1", 100), ("soon", 100)])
def test_one_that_says_when_is_heard_up_to_twice_the_plan(
    database_url: str, books: Owing, receiver: Receiver, asked: str, expected: float
) -> None:
    receiver.answer = first(Reply(status=429, headers={"Retry-After": asked}))
    (delivery_id,) = books.owe(books.endpoint(receiver.url))
    with delivering(database_url, schedule_seconds=(100,)):
        eventually(lambda: books.attempts(delivery_id))
    assert 0.79 * expected < books.wait_seconds(delivery_id) < 1.2 * expected + RECORD_SECONDS_MAX


class TestGone:
    def test_disables_the_endpoint_and_ends_what_is_pending(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: Reply(status=410)
        endpoint_id = books.endpoint(receiver.url)
        books.owe(endpoint_id, 100)
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"exhausted"})
        assert books.endpoint_row(endpoint_id)["disabled_reason"] == "gone"
        assert books.value("SELECT count(*) FROM events WHERE type = 'webhook_endpoint.disabled'") == 1

    def test_is_not_held_against_another_address(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        """The address was changed while the one of before said it."""
        arrived, release = Event(), Event()

        def move(request: Received) -> Reply:
            arrived.set()
            return Reply() if request.path.endswith("/new") else Reply(status=410, wait_for=release)

        receiver.answer = move
        endpoint_id = books.endpoint(receiver.url)
        (delivery_id,) = books.owe(endpoint_id)
        with delivering(database_url):
            eventually(arrived.is_set)
            books.connection.execute("UPDATE webhook_endpoints SET url = url || '/new'")
            release.set()
            eventually(lambda: books.attempts(delivery_id))
        assert books.endpoint_row(endpoint_id)["disabled_at"] is None


class TestClosed:
    """What is written off is what is owed to endpoints that are closed at that moment, not just before."""

    def test_is_not_one_that_was_enabled_again_meanwhile(self, books: Owing) -> None:
        endpoint_id = books.endpoint("http://127.0.0.1:1/hooks")
        books.owe(endpoint_id)
        assert write_off(books.connection, [endpoint_id], limit=10) == 0

    def test_stays_so_until_what_was_owed_is_written_off(self, database_url: str, books: Owing) -> None:
        endpoint_id = books.endpoint("http://127.0.0.1:1/hooks")
        books.owe(endpoint_id)
        books.connection.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'owner'")
        enable = "UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL"
        with owing(database_url) as owners, books.connection.transaction():
            assert write_off(books.connection, [endpoint_id], limit=10) == 1
            owners.connection.execute("SET lock_timeout = '50ms'")
            with pytest.raises(LockNotAvailable):
                owners.connection.execute(enable)


class TestDead:
    def test_is_disabled_once_and_told_of_once(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        owner_id = books.new_owner()
        with receiving(lambda _: Reply(status=500)) as dead:
            dead_id = books.endpoint(dead.url, owner_id=owner_id)
            books.endpoint(receiver.url, owner_id=owner_id)
            books.endpoint(receiver.url, owner_id=books.new_owner())
            books.owe(dead_id, 20)
            with (
                delivering(database_url, disable_after_seconds=0.5),
                delivering(database_url, disable_after_seconds=0.5),
            ):
                eventually(lambda: books.endpoint_row(dead_id)["disabled_at"])
                eventually(lambda: receiver.received)
                eventually(lambda: books.statuses() == {"exhausted", "delivered"})
        assert books.endpoint_row(dead_id)["disabled_reason"] == "failing"
        assert books.value("SELECT count(*) FROM events WHERE type = 'webhook_endpoint.disabled'") == 1
        assert len(receiver.received) == 1
        assert len(dead.received) >= 10

    def test_is_not_disabled_for_fewer_than_ten_failures(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: Reply(status=500)
        endpoint_id = books.endpoint(receiver.url)
        books.owe(endpoint_id, 2)
        with delivering(database_url, schedule_seconds=(0.05, 0.05, 0.05), disable_after_seconds=0.01):
            eventually(lambda: books.statuses() == {"exhausted"})
        assert books.endpoint_row(endpoint_id)["failures"] == 8
        assert books.endpoint_row(endpoint_id)["disabled_at"] is None

    def test_is_not_disabled_if_it_answers_now_and_then(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        answers = itertools.cycle([Reply(status=500), Reply()])
        receiver.answer = lambda _: next(answers)
        endpoint_id = books.endpoint(receiver.url)
        books.owe(endpoint_id, 20)
        limits = Limits(endpoint_sends_max=1)
        with delivering(database_url, schedule_seconds=(0.01,) * 30, disable_after_seconds=0.001, limits=limits):
            eventually(lambda: books.statuses() == {"delivered"})
        assert books.value("SELECT count(*) FROM webhook_attempts WHERE http_status = 500") >= 10
        assert books.endpoint_row(endpoint_id)["disabled_at"] is None


class TestProbing:
    def test_is_by_one_delivery_at_a_time_until_it_answers(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        """Also with two processes. Deliveries that are not tried keep their schedules."""
        under_way: list[int] = []
        most: list[int] = []
        looked_at_after = 6
        answers = Event()
        pause = Event()

        def answer(_: Received) -> Reply:
            under_way.append(1)
            most.append(len(under_way))
            if len(receiver.received) > looked_at_after:
                # No more of them are tried while they are looked at.
                answers.wait()
            pause.wait(0.05)
            under_way.pop()
            return Reply(status=200 if answers.is_set() else 503)

        receiver.answer = answer
        endpoint_id = books.endpoint(receiver.url)
        books.connection.execute("UPDATE webhook_endpoints SET failures = 5, failing_since = now()")
        books.owe(endpoint_id, 300)
        with (
            delivering(database_url, schedule_seconds=(0.1,) * 5),
            delivering(database_url, schedule_seconds=(0.1,) * 5),
        ):
            eventually(lambda: len(receiver.received) >= looked_at_after)
            assert max(most) == 1
            assert books.value("SELECT count(*) FROM webhook_deliveries WHERE attempts = 0") > 280
            answers.set()
            eventually(lambda: books.statuses() == {"delivered"})
        assert max(most) > 1
        assert books.endpoint_row(endpoint_id)["failures"] == 0

    def test_gives_back_what_was_claimed_for_it(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        """An endpoint that answered quickly has much claimed for it, and then it breaks."""
        works, breaks = iter([Reply()] * 40), iter([Reply(status=503)] * FAILING_FROM)
        noted = Event()

        def answer(_: Received) -> Reply:
            if reply := next(works, None) or next(breaks, None):
                return reply
            # However long it takes to write the failures down, no more is sent than may be under way at once.
            noted.wait()
            return Reply(status=503)

        receiver.answer = answer
        endpoint_id = books.endpoint(receiver.url)
        books.owe(endpoint_id, 400)
        with delivering(database_url, schedule_seconds=(100,)):
            eventually(lambda: books.endpoint_row(endpoint_id)["failures"] >= FAILING_FROM)
            noted.set()
            eventually(lambda: books.value("SELECT count(*) FROM webhook_deliveries WHERE claim_id IS NOT NULL") == 0)
        assert len(receiver.received) < 100
