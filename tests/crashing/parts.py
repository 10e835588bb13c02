"""Do the work of one part of Hishab in a process of its own, as far as it is there, and end."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import cache
from typing import Final

import httpx2
import psycopg
from cryptography.fernet import Fernet
from fastapi import FastAPI

from api.main import make_app, make_edge, make_parts
from api.parts import Parts
from shared import clock
from shared.database.connections import AUDIT, connect
from shared.domain.retry import Schedule
from shared.queue import WakeUps
from shared.secrets_at_rest import SecretsAtRest
from shared.settings import ApiSettings
from tests.crashing.job import Job
from worker.lanes.worker import LaneWorker
from worker.upkeep.audit import audit
from worker.upkeep.forget import forget
from worker.upkeep.sweep import sweep
from worker.webhooks.deliver import Deliverer
from worker.webhooks.guard import Guard
from worker.webhooks.in_hand import Limits
from worker.webhooks.record import Recorder
from worker.webhooks.recover import recover
from worker.webhooks.send import Sender, new_session

NO_BROKER: Final = "redis://127.0.0.1:1/0"
LOOPBACK: Final = ("127.0.0.0/8",)
SECONDS_MAX: Final = 30.0


def work_lane(job: Job) -> None:
    """Work lane 1 once."""
    worker = LaneWorker(database_url=job.database_url, wake_ups=(wake_ups := WakeUps(NO_BROKER)))
    worker.work(1)
    wake_ups.stop()


def upkeep(job: Job) -> None:
    """Do one round of everything that upkeep does."""
    worker = LaneWorker(database_url=job.database_url, wake_ups=(wake_ups := WakeUps(NO_BROKER)))
    sweep(worker, age_seconds=0)
    with connect(job.database_url, application_name="hishab-upkeep", timeouts=AUDIT) as connection:
        while audit(connection):
            pass
        while recover(connection):
            pass
        forget(connection)
    wake_ups.stop()


def deliver(job: Job) -> None:
    """Deliver until nothing is owed."""
    asyncio.run(_deliver(job))


async def _deliver(job: Job) -> None:
    schedule = Schedule(waits_seconds=(0.05,) * 20, overloaded_seconds=0.05)
    async with new_session(Guard(LOOPBACK)) as session:
        deliverer = Deliverer(
            Sender(session, secrets=SecretsAtRest([job.secret_key]), https_only=False).send,
            database_url=job.database_url,
            recorder=Recorder(disable_after_seconds=3_600, probe_seconds=0.05),
            schedule=schedule,
            limits=Limits(),
        )
        running = asyncio.create_task(deliverer.run())
        # The test's own look, which passes no crash point.
        async with await psycopg.AsyncConnection.connect(job.database_url, autocommit=True) as connection:
            await _until_nothing_is_owed(connection, look=deliverer.look)
        deliverer.stop()
        await running


async def _until_nothing_is_owed(connection: psycopg.AsyncConnection, *, look: Callable[[], None]) -> None:
    deadline_seconds = clock.monotonic_seconds() + SECONDS_MAX
    pending = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"
    while (await (await connection.execute(pending)).fetchone()) != (0,):
        assert clock.monotonic_seconds() < deadline_seconds, "something is owed for ever"
        await asyncio.sleep(0.02)
        look()


def accept(job: Job) -> None:
    """Answer requests one after the other, over everything that the edge is made of but the sockets."""
    asyncio.run(_accept(job))


async def _accept(job: Job) -> None:
    assert job.notes is not None
    notes = os.open(job.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with _serving(job) as http:
        for request in job.asked:
            answer = await http.request(**request)
            kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
            note = {"status": answer.status_code, "headers": kept, "body": answer.content.decode()}
            os.write(notes, json.dumps(note).encode() + b"\n")


KEPT_HEADERS: Final = ("content-type", "location", "idempotency-key", "retry-after")


@contextlib.asynccontextmanager
async def _serving(job: Job) -> AsyncGenerator[httpx2.AsyncClient]:
    parts = edge().state.parts = make_parts(_settings(job), lane_count=1)
    await parts.intake_pool.open()
    doors = [asyncio.create_task(parts.intake.run()), asyncio.create_task(parts.batch_intake.run())]
    transport = httpx2.ASGITransport(app=make_edge(edge()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as http:
        yield http
    await _stop(parts, doors)


async def _stop(parts: Parts, doors: list[asyncio.Task[None]]) -> None:
    parts.intake.stop()
    parts.batch_intake.stop()
    await asyncio.gather(*doors)
    await parts.intake_pool.close()
    await parts.engine.dispose()
    await parts.looking_engine.dispose()
    await asyncio.to_thread(parts.wake_ups.stop)


def _settings(job: Job) -> ApiSettings:
    return ApiSettings(
        database_url=job.database_url,
        broker_url=NO_BROKER,
        token_keys=(("a", bytes(32)),),
        pin_pepper=bytes(32),
        webhook_secret_keys=(job.secret_key,),
        # Nobody is kept waiting: there is no lane beside it.
        watched_max=0,
    )


@cache
def edge() -> FastAPI:
    """Make the edge, once and before anything is forked: that takes longer than all that is asked of it."""
    nowhere = Job(
        part="accept", database_url="postgresql://127.0.0.1:1/none", secret_key=Fernet.generate_key().decode()
    )
    return make_app(_settings(nowhere), lane_count=1)


PARTS: Final[Mapping[str, Callable[[Job], None]]] = {
    "accept": accept,
    "deliver": deliver,
    "lane": work_lane,
    "upkeep": upkeep,
}
