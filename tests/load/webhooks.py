"""Measure S12: how many webhooks a second go to a local receiver, beside a bare aiohttp loop that posts the same.

`make bench BENCH_ARGS="--only S12"` does; `--webhook-memory 100000` watches the worker's memory over as many. By hand:
`python -m tests.load.webhooks DATABASE_URL [COUNT [ROUNDS] | memory]`, with a fresh, migrated database.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from uuid import UUID

import aiohttp
import psycopg

from shared import clock
from shared.database.deliveries import NewDelivery, owe
from shared.domain.signature import SECRET_BYTES, sign
from shared.identifiers import event_name, new_id
from shared.secrets_at_rest import SecretsAtRest
from tests.eventually import eventually
from tests.load.stage import Stage
from tests.webhook_worker import KEY

BODY_BYTES = 700
"""What the event of a transfer comes to."""

END_SECONDS_MAX = 300.0
NO_BROKER = "redis://127.0.0.1:1/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Deliveries a second: ours with all that belongs to them, and posts of a loop that does nothing else."""

    ours: float
    bare: float
    worker_rss_mb: float

    @property
    def ratio(self) -> float:
        """S12."""
        return self.ours / self.bare


def measure(database_url: str, *, count: int = 10_000, endpoints: int = 1, broker_url: str = NO_BROKER) -> Rates:
    """Measure one round: bare, then ours.

    Args:
        database_url: A migrated database that nobody delivers from; what is delivered stays in it.
        count: Deliveries in all.
        endpoints: Over how many endpoints they are spread.
    """
    with sink() as port:
        url = f"http://127.0.0.1:{port}/hooks"
        bare = bare_per_second(url, count=count)
        with psycopg.connect(database_url, autocommit=True) as connection:
            owe_events(connection, url, count=count, endpoints=endpoints)
            with worker(database_url, broker_url=broker_url) as process:
                eventually(lambda: not _pending(connection), seconds_max=END_SECONDS_MAX)
                rss_mb = resident_mb(process.pid)
            return Rates(ours=_delivered_per_second(connection, count), bare=bare, worker_rss_mb=rss_mb)


def measure_memory(stage: Stage, *, count: int) -> Mapping[str, float]:
    """Say what the worker held after the first tenth of so many deliveries, at most, and after the last."""
    with stage.fresh_system() as system:
        seen = memory_mb(system.database_url, count=count)
    return {"webhooks first": seen[0], "webhooks most": max(seen), "webhooks last": seen[-1]}


def memory_mb(database_url: str, *, count: int = 100_000, steps: int = 10, broker_url: str = NO_BROKER) -> list[float]:
    """Deliver so many from one process, and give its resident memory after each step."""
    seen: list[float] = []
    with (
        sink() as port,
        psycopg.connect(database_url, autocommit=True) as connection,
        worker(database_url, broker_url=broker_url) as process,
    ):
        for _ in range(steps):
            owe_events(connection, f"http://127.0.0.1:{port}/hooks", count=count // steps, endpoints=10)
            eventually(lambda: not _pending(connection), seconds_max=END_SECONDS_MAX)
            seen.append(resident_mb(process.pid))
    return seen


def bare_per_second(url: str, *, count: int, at_once: int = 16) -> float:
    """Post the same bytes with the same headers, from a loop that does nothing else."""
    return asyncio.run(_post_all(url, count=count, at_once=at_once))


async def _post_all(url: str, *, count: int, at_once: int) -> float:
    body = b"x" * BODY_BYTES
    message_id = event_name(new_id())
    signature = sign(body, message_id=message_id, timestamp_seconds=1, secrets=[bytes(SECRET_BYTES)])
    headers = {"webhook-id": message_id, "webhook-timestamp": "1", "webhook-signature": signature}
    left = iter(range(count))

    async def post(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        began_seconds = clock.monotonic_seconds()
        await asyncio.gather(*(post(session) for _ in range(at_once)))
        return count / (clock.monotonic_seconds() - began_seconds)


def owe_events(connection: psycopg.Connection, url: str, *, count: int, endpoints: int = 1) -> list[UUID]:
    """Register endpoints of as many owners, and owe them so many deliveries between them; give the endpoints."""
    endpoint_ids = [new_id() for _ in range(endpoints)]
    for endpoint_id in endpoint_ids:
        connection.execute(
            "INSERT INTO webhook_endpoints (id, owner_id, url, secret_encrypted, place, created_at)"
            " VALUES (%s, %s, %s, %s, 1, now())",
            (endpoint_id, new_id(), url, SecretsAtRest([KEY]).encrypt(bytes(SECRET_BYTES))),
        )
    event_ids = [new_id() for _ in range(count)]
    with connection.transaction():
        (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM events WHERE lane = 99").fetchone() or (0,)
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY events (id, lane, number, type, created_at, owner_id) FROM STDIN") as copy,
        ):
            for n, event_id in enumerate(event_ids, start=1):
                copy.write_row((event_id, 99, number + n, "ping", clock.now(), endpoint_ids[0]))
        body = b"x" * BODY_BYTES
        deliveries = (
            NewDelivery(new_id(), endpoint_ids[n % endpoints], event_id, body) for n, event_id in enumerate(event_ids)
        )
        owe(connection, deliveries, at=clock.now())
    connection.execute("ANALYZE webhook_deliveries")
    return endpoint_ids


@contextmanager
def sink() -> Generator[int]:
    """Run a receiver in a process of its own; give its port."""
    with subprocess.Popen([sys.executable, "-m", "tests.load.sink"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def worker(
    database_url: str, *, broker_url: str = NO_BROKER, settings: Sequence[tuple[str, str]] = ()
) -> Generator["subprocess.Popen[bytes]"]:
    """Run `python -m worker.main webhooks` until the block is left."""
    environment = {
        "HISHAB_DATABASE_URL": database_url,
        "HISHAB_BROKER_URL": broker_url,
        "HISHAB_WEBHOOK_SECRET_KEYS": KEY,
        "HISHAB_WEBHOOK_ALLOWED_CIDRS": "127.0.0.0/8",
        "HISHAB_WEBHOOK_HTTPS_ONLY": "false",
        **dict(settings),
    }
    command = [sys.executable, "-m", "worker.main", "webhooks"]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def resident_mb(pid: int) -> float:
    """Say how much memory a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576


def _pending(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT FROM webhook_deliveries WHERE status = 'pending')").fetchone()
    return row is not None and bool(row[0])


def _delivered_per_second(connection: psycopg.Connection, count: int) -> float:
    """From the first send to the record of the last, of the newest so many."""
    row = connection.execute(
        "SELECT extract(epoch FROM max(d.finished_at) - min(a.started_at))"
        " FROM (SELECT id, finished_at FROM webhook_deliveries ORDER BY id DESC LIMIT %s) AS d"
        " JOIN webhook_attempts AS a ON a.delivery_id = d.id",
        (count,),
    ).fetchone()
    assert row is not None
    return count / float(row[0])


def main() -> None:
    """Measure rounds in turns, and print each and the median ratio; or the memory."""
    database_url, *numbers = sys.argv[1:]
    if numbers == ["memory"]:
        sys.stdout.write(json.dumps({"memory_mb": memory_mb(database_url)}) + "\n")
        return
    count, rounds = (int(text) for text in [*numbers, *("10000", "3")[len(numbers) :]])
    measured = [measure(database_url, count=count) for _ in range(rounds)]
    for rates in measured:
        sys.stdout.write(json.dumps({**asdict(rates), "ratio": rates.ratio}) + "\n")
    sys.stdout.write(json.dumps({"s12": median(rates.ratio for rates in measured)}) + "\n")


if __name__ == "__main__":
    main()
