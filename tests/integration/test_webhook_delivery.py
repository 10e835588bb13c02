"""Does what is owed get to whom it is owed, signed, once it can, and whatever else goes wrong?"""

from collections.abc import Iterator
from threading import Event

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from shared import clock
from shared.database import claims
from shared.database.claims import Attempt
from shared.domain.attempt import Answer
from shared.identifiers import event_name, new_id
from tests.eventually import eventually
from tests.receiver import Received, Receiver, Reply, receiving
from tests.webhook_worker import WHSEC, Owing, delivering, owing
from worker.webhooks.in_hand import Limits
from worker.webhooks.send import SEND_SECONDS_MAX


@pytest.fixture
def books(database_url: str) -> Iterator[Owing]:
    with owing(database_url) as books:
        yield books


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def refuse_first(count: int, reply: Reply) -> "Answering":
    return Answering([reply] * count)


class Answering:
    """Answers with these replies one after the other, and with 200 ever after."""

    def __init__(self, replies: list[Reply]) -> None:
        self._replies = iter(replies)

    def __call__(self, _: Received) -> Reply:
        return next(self._replies, Reply())


class TestDelivery:
    def test_is_signed_for_the_reference_library(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"})
        (request,) = receiver.received
        assert request.verified(WHSEC) == {"n": 0, "text": "জমা"}
        assert request.body == books.delivery(delivery_id)["body"]
        assert request.headers["webhook-id"] == event_name(books.delivery(delivery_id)["event_id"])  # pyright: ignore[reportArgumentType] - a row of the test's own
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"].startswith("Hishab-Webhooks/")
        assert "cookie" not in request.headers

    def test_does_not_verify_with_one_byte_changed(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        books.owe(books.endpoint(receiver.url))
        with delivering(database_url):
            eventually(lambda: receiver.received)
        (request,) = receiver.received
        changed = Received(path=request.path, headers=request.headers, body=request.body.replace(b"0", b"1"))
        with pytest.raises(WebhookVerificationError):
            changed.verified(WHSEC)

    def test_is_tried_again_with_the_same_id_and_bytes(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        receiver.answer = refuse_first(2, Reply(status=500, body=b"out of\0order"))
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"})
        assert len(receiver.received) == 3
        assert len(set(receiver.ids())) == 1
        assert len({request.body for request in receiver.received}) == 1
        attempts = books.attempts(delivery_id)
        assert [attempt["http_status"] for attempt in attempts] == [500, 500, 200]
        assert [attempt["number"] for attempt in attempts] == [1, 2, 3]
        assert attempts[0]["answer_excerpt"] == "out oforder"

    def test_ends_with_its_schedule(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        receiver.answer = lambda _: Reply(status=503)
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url, schedule_seconds=(0.05, 0.05)):
            eventually(lambda: books.statuses() == {"exhausted"})
        assert len(receiver.received) == len(books.attempts(delivery_id)) == 3
        assert books.delivery(delivery_id)["finished_at"] is not None

    def test_waits_as_long_as_the_receiver_asks(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        receiver.answer = lambda _: Reply(status=503, headers={"Retry-After": "100"})
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url, schedule_seconds=(50,)):
            eventually(lambda: books.delivery(delivery_id)["attempts"] == 1)
        assert 95 < books.wait_seconds(delivery_id) < 130

    def test_follows_no_redirect(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        with receiving() as elsewhere:
            receiver.answer = lambda _: Reply(status=307, headers={"Location": elsewhere.url})
            (delivery_id,) = books.owe(books.endpoint(receiver.url))
            with delivering(database_url, schedule_seconds=()):
                eventually(lambda: books.statuses() == {"exhausted"})
            assert elsewhere.connections == 0
        assert books.attempts(delivery_id)[0]["http_status"] == 307

    def test_reads_no_more_of_an_endless_answer_than_it_keeps(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: Reply(body=b"x" * 1_000, endless=True)
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"}, seconds_max=SEND_SECONDS_MAX / 2)
        assert books.attempts(delivery_id)[0]["answer_excerpt"] == "x" * 2_048

    def test_keeps_connections_alive(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        books.owe(books.endpoint(receiver.url), 200)
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"})
        assert receiver.connections <= Limits().endpoint_sends_max

    def test_is_not_sent_to_a_deleted_endpoint(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        books.owe(books.endpoint(receiver.url), 50)
        books.connection.execute("UPDATE webhook_endpoints SET deleted_at = now()")
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"exhausted"})
        assert not receiver.received


class TestIsolation:
    def test_one_that_hangs_delays_nobody_else(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        release = Event()
        with receiving(lambda _: Reply(wait_for=release)) as hanging:
            books.owe(books.endpoint(hanging.url), 1_000)
            with delivering(database_url, limits=Limits(sends_max=32, endpoint_sends_max=8)):
                eventually(lambda: len(hanging.received) == 8)
                books.owe(books.endpoint(receiver.url), 50)
                eventually(lambda: len(receiver.received) == 50, seconds_max=SEND_SECONDS_MAX / 2)
                assert len(hanging.received) == 8
                release.set()

    def test_one_that_hangs_has_the_attempt_taken_from_it(
        self, database_url: str, books: Owing, receiver: Receiver
    ) -> None:
        release = Event()
        receiver.answer = lambda _: Reply(wait_for=release)
        (delivery_id,) = books.owe(books.endpoint(receiver.url))
        with delivering(database_url, send_seconds_max=0.5):
            eventually(lambda: books.attempts(delivery_id))
        release.set()
        assert books.attempts(delivery_id)[0]["error"] == "timeout"

    @pytest.mark.parametrize("port_is_open", [False, True])
    def test_no_receiver_at_all_is_a_failed_attempt(
        self, database_url: str, books: Owing, *, port_is_open: bool
    ) -> None:
        with receiving() as receiver:
            url = receiver.url.replace("http://", "https://") if port_is_open else "http://127.0.0.1:1025/"
            (delivery_id,) = books.owe(books.endpoint(url))
            with delivering(database_url):
                eventually(lambda: books.attempts(delivery_id))
        assert books.attempts(delivery_id)[0]["error"] == ("tls_failed" if port_is_open else "connection_failed")


class TestClaims:
    def test_two_workers_send_each_delivery_once(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        for _ in range(4):
            books.owe(books.endpoint(receiver.url), 100)
        with delivering(database_url), delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"})
        assert len(receiver.received) == len(set(receiver.ids())) == 400

    def test_a_worker_that_dies_holding_one_loses_it(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        endpoint_id = books.endpoint(receiver.url)
        (delivery_id,) = books.owe(endpoint_id)
        (claimed,) = claims.claim(books.connection, {endpoint_id: 1}, claim_id=new_id(), limit=1, lease_seconds=0.5)
        with delivering(database_url):
            eventually(lambda: books.statuses() == {"delivered"})
        late = Attempt(
            delivery=claimed, started_at=clock.now(), duration_ms=1, answer=Answer(http_status=500), wait_seconds=1.0
        )
        assert claims.record(books.connection, [late]) == 0
        assert len(books.attempts(delivery_id)) == 1
        assert books.delivery(delivery_id)["status"] == "delivered"

    def test_one_that_lasts_is_nobody_elses(self, database_url: str, books: Owing) -> None:
        endpoint_id = books.endpoint("http://127.0.0.1:1025/")
        books.owe(endpoint_id, 5)
        taken = claims.claim(books.connection, {endpoint_id: 3}, claim_id=new_id(), limit=9, lease_seconds=30)
        others = claims.claim(books.connection, {endpoint_id: 3}, claim_id=new_id(), limit=9, lease_seconds=30)
        assert (len(taken), len(others)) == (3, 2)
        assert not {claimed.id for claimed in taken} & {claimed.id for claimed in others}

    def test_take_turns_between_endpoints(self, database_url: str, books: Owing) -> None:
        crowded, quiet = books.endpoint("http://127.0.0.1:1025/"), books.endpoint("http://127.0.0.1:1026/")
        books.owe(crowded, 20)
        books.owe(quiet, 2)
        rooms = {crowded: 8, quiet: 8}
        claimed = claims.claim(books.connection, rooms, claim_id=new_id(), limit=4, lease_seconds=30)
        assert [c.endpoint_id for c in claimed].count(quiet) == 2

    def test_survives_the_loss_of_its_connection(self, database_url: str, books: Owing, receiver: Receiver) -> None:
        endpoint_id = books.endpoint(receiver.url)
        with delivering(database_url, limits=Limits(lease_seconds=1.0)):
            for _ in range(5):
                books.owe(endpoint_id, 20)
                books.connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'hishab-webhooks' AND datname = current_database()"
                )
            eventually(lambda: books.statuses() == {"delivered"}, seconds_max=60)
        assert len(set(receiver.ids())) == 100
