"""Owe webhooks to endpoints and run the loop that delivers them, without the API and without lanes."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from cryptography.fernet import Fernet
from psycopg.rows import dict_row

from shared import clock
from shared.database.connections import WORKER, connect
from shared.database.deliveries import NewDelivery, owe
from shared.domain.retry import Schedule
from shared.domain.signature import SECRET_BYTES, spell_secret
from shared.identifiers import new_id
from shared.secrets_at_rest import SecretsAtRest
from worker.webhooks.deliver import Deliverer
from worker.webhooks.guard import Guard
from worker.webhooks.in_hand import Limits
from worker.webhooks.record import Recorder
from worker.webhooks.send import SEND_SECONDS_MAX, Sender, new_session

KEY = Fernet.generate_key().decode()
SECRET = bytes(range(SECRET_BYTES))
WHSEC = spell_secret(SECRET)

LOOPBACK = ("127.0.0.0/8", "::1/128")
SHORT_SCHEDULE = (0.1, 0.1, 0.1)


@dataclass(frozen=True, kw_only=True)
class Owing:
    """Somewhere to owe webhooks in."""

    connection: psycopg.Connection

    @staticmethod
    def new_owner() -> UUID:
        """Somebody."""
        return new_id()

    def endpoint(self, url: str, *, owner_id: UUID | None = None) -> UUID:
        """Register an endpoint."""
        endpoint_id, owner_id = new_id(), owner_id or new_id()
        self.connection.execute(
            "INSERT INTO webhook_endpoints (id, owner_id, url, secret_encrypted, place, created_at)"
            " SELECT %s, %s, %s, %s, 1 + count(*), now() FROM webhook_endpoints WHERE owner_id = %s",
            (endpoint_id, owner_id, url, SecretsAtRest([KEY]).encrypt(SECRET), owner_id),
        )
        return endpoint_id

    def owe(self, endpoint_id: UUID, count: int = 1) -> list[UUID]:
        """Owe an endpoint so many deliveries of events of their own, due now."""
        deliveries = [
            NewDelivery(new_id(), endpoint_id, new_id(), f'{{"n":{number},"text":"জমা"}}'.encode())
            for number in range(count)
        ]
        with self.connection.transaction():
            (number,) = self.connection.execute("SELECT coalesce(max(number), 0) FROM events").fetchone() or (0,)
            with self.connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO events (id, lane, number, type, created_at, owner_id)"
                    " VALUES (%s, 1, %s, 'transfer.succeeded', now(), %s)",
                    [(delivery.event_id, number + n, endpoint_id) for n, delivery in enumerate(deliveries, start=1)],
                )
            owe(self.connection, deliveries, at=clock.now())
        return [delivery.id for delivery in deliveries]

    def delivery(self, delivery_id: UUID) -> dict[str, object]:
        """How a delivery stands."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM webhook_deliveries WHERE id = %s", (delivery_id,)).fetchone()
        assert found is not None
        return found

    def attempts(self, delivery_id: UUID) -> list[dict[str, object]]:
        """What was tried, from the first attempt on."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                "SELECT * FROM webhook_attempts WHERE delivery_id = %s ORDER BY number", (delivery_id,)
            ).fetchall()

    def endpoint_row(self, endpoint_id: UUID) -> dict[str, Any]:
        """How an endpoint fares."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM webhook_endpoints WHERE id = %s", (endpoint_id,)).fetchone()
        assert found is not None
        return found

    def wait_seconds(self, delivery_id: UUID) -> float:
        """How long after the end of the last attempt the next one is due; recording it may have taken a moment."""
        return float(
            self.value(
                "SELECT extract(epoch FROM max(next_attempt_at) - max(started_at + duration_ms * interval '1 ms'))"
                " FROM webhook_deliveries JOIN webhook_attempts ON delivery_id = id WHERE id = %s",
                delivery_id,
            )
        )

    def value(self, statement: LiteralString, *arguments: object) -> Any:  # noqa: ANN401 (what the statement reads)
        """Read the first column of the first row."""
        row = self.connection.execute(statement, arguments).fetchone()
        assert row is not None
        return row[0]

    def statuses(self) -> set[str]:
        """Every status that a delivery has."""
        return {status for (status,) in self.connection.execute("SELECT DISTINCT status FROM webhook_deliveries")}


@contextmanager
def owing(database_url: str) -> Generator[Owing]:
    """Connect to where webhooks are owed."""
    with connect(database_url, application_name="hishab-test", timeouts=WORKER) as connection:
        yield Owing(connection=connection)


@contextmanager
def delivering(
    database_url: str,
    *,
    allowed: Sequence[str] = LOOPBACK,
    schedule_seconds: Sequence[float] = SHORT_SCHEDULE,
    send_seconds_max: float = SEND_SECONDS_MAX,
    overloaded_seconds: float = 0.1,
    disable_after_seconds: float = 3_600.0,
    limits: Limits | None = None,
) -> Generator[None]:
    """Deliver in a thread until the block is left."""
    schedule = Schedule(waits_seconds=schedule_seconds, overloaded_seconds=overloaded_seconds)
    recorder = Recorder(disable_after_seconds=disable_after_seconds, probe_seconds=schedule.probe_seconds)
    started, stop = Event(), list[object]()

    async def deliver() -> None:
        async with new_session(Guard(allowed), send_seconds_max=send_seconds_max) as session:
            deliverer = Deliverer(
                Sender(session, secrets=SecretsAtRest([KEY]), https_only=False).send,
                database_url=database_url,
                recorder=recorder,
                schedule=schedule,
                limits=limits or Limits(),
            )
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(deliverer.stop))
            started.set()
            await deliverer.run()

    thread = Thread(target=asyncio.run, args=(deliver(),))
    thread.start()
    started.wait()
    try:
        yield
    finally:
        (end,) = stop
        assert callable(end)
        end()
        thread.join()
