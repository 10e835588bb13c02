"""Upkeep forgets webhooks that ended ninety days ago, and nothing that is younger, waits, or was sent again."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from shared import clock
from shared.database.old_deliveries import ROWS_MAX
from shared.identifiers import first_id
from tests.webhook_worker import Owing, owing
from worker.upkeep.forget import forget
from worker.webhooks.recover import recover

LONG_AGO, LATELY = 91, 89

MAKE_RECOVERY = """
INSERT INTO webhook_recoveries (id, endpoint_id, since, until, requested_at, finished_at)
SELECT %(id)s, id, '-infinity', now(), now() - make_interval(days => %(days)s),
       CASE WHEN %(finished)s THEN now() - make_interval(days => %(days)s) END
FROM webhook_endpoints
"""


@pytest.fixture
def books(database_url: str) -> Iterator[Owing]:
    with owing(database_url) as books:
        yield books


@pytest.fixture
def endpoint_id(books: Owing) -> UUID:
    return books.endpoint("http://127.0.0.1:1/hooks")


def id_of(days: int, *, number: int = 0) -> UUID:
    return UUID(int=first_id(clock.now() - timedelta(days=days)).int + number)


def made(books: Owing, endpoint_id: UUID, *, days: int, ended_days: int | None, count: int = 1) -> list[UUID]:
    """Make deliveries of so many days ago that ended when it is said, if they did, after two attempts each."""
    ids = [id_of(days, number=number) for number in range(count)]
    with books.connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE webhook_deliveries SET id = %s WHERE id = %s",
            list(zip(ids, books.owe(endpoint_id, count), strict=True)),
        )
    if ended_days is not None:
        books.connection.execute(
            "UPDATE webhook_deliveries SET status = 'delivered', next_attempt_at = NULL, attempts = 2,"
            " finished_at = now() - make_interval(days => %s) WHERE id = ANY(%s)",
            (ended_days, ids),
        )
    books.connection.execute(
        "INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms)"
        " SELECT id, number, now(), 1 FROM unnest(%s::uuid[]) AS id, generate_series(1, 2) AS number",
        (ids,),
    )
    return ids


def left(books: Owing) -> list[UUID]:
    return books.value("SELECT array_agg(id ORDER BY id) FROM webhook_deliveries")


def test_deliveries_that_ended_long_ago_and_their_attempts(books: Owing, endpoint_id: UUID) -> None:
    waiting = made(books, endpoint_id, days=LONG_AGO + 1, ended_days=None)
    made(books, endpoint_id, days=LONG_AGO, ended_days=LONG_AGO)
    sent_again = made(books, endpoint_id, days=LONG_AGO + 2, ended_days=LATELY)
    young = made(books, endpoint_id, days=LATELY, ended_days=LATELY)
    assert forget(books.connection) == 1
    assert left(books) == [*sent_again, *waiting, *young]
    assert books.value("SELECT count(*) FROM webhook_attempts") == 6
    assert forget(books.connection) == 0


def test_deliveries_however_many_also_behind_some_that_stay(books: Owing, endpoint_id: UUID) -> None:
    made(books, endpoint_id, days=LONG_AGO + 1, ended_days=LATELY, count=ROWS_MAX + 1)
    made(books, endpoint_id, days=LONG_AGO, ended_days=LONG_AGO, count=ROWS_MAX + 1)
    assert forget(books.connection) == ROWS_MAX + 1
    assert len(left(books)) == ROWS_MAX + 1
    assert books.value("SELECT count(DISTINCT delivery_id) FROM webhook_attempts") == ROWS_MAX + 1


def test_recoveries_that_ended_long_ago(books: Owing, endpoint_id: UUID) -> None:
    assert endpoint_id
    for days, finished in ((LONG_AGO, True), (LONG_AGO + 1, False), (LATELY, True)):
        books.connection.execute(MAKE_RECOVERY, {"id": id_of(days), "days": days, "finished": finished})
    assert forget(books.connection) == 1
    assert books.value("SELECT array_agg(finished_at IS NULL ORDER BY id) FROM webhook_recoveries") == [True, False]


def test_what_is_forgotten_is_not_recovered(books: Owing, endpoint_id: UUID) -> None:
    """Or it would be sent again to somebody who has it."""
    books.connection.execute("UPDATE webhook_endpoints SET created_at = '-infinity', owner_id = id")
    for number, days in ((1, LONG_AGO), (2, LATELY)):
        books.connection.execute(
            "INSERT INTO events (id, lane, number, type, created_at, owner_id, endpoint_id, data)"
            " VALUES (%s, 0, %s, 'webhook_endpoint.disabled', now() - make_interval(days => %s), %s, %s, '{}')",
            (id_of(days), number, days, endpoint_id, id_of(1)),
        )
    books.connection.execute(MAKE_RECOVERY, {"id": id_of(0), "days": 0, "finished": False})
    while recover(books.connection):
        pass
    assert books.value("SELECT array_agg(event_id) FROM webhook_deliveries") == [id_of_event(books, number=2)]


def id_of_event(books: Owing, *, number: int) -> UUID:
    return books.value("SELECT id FROM events WHERE lane = 0 AND number = %s", number)
