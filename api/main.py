"""Compose the HTTP edge: settings, pools, routes. `python -m api.main` serves it."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

import psycopg
import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from api import health, problem_pages, problems, sign_ins
from api.api_keys import routes as key_routes
from api.body_limit import BodyLimit
from api.caller import QUOTA_WINDOW_SECONDS
from api.credentials import look_up
from api.direct import Direct
from api.events import routes as event_routes
from api.head import Head
from api.known_callers import KnownCallers
from api.looks import Looks
from api.metrics import routes as metric_routes
from api.openapi import specification
from api.parts import Parts
from api.quotas import Quotas
from api.request_id import RequestIds
from api.server import Server, raise_file_limit
from api.system import routes as system_routes
from api.tokens import routes as token_routes
from api.transfer_batches import routes as batch_routes
from api.transfers import routes as transfer_routes
from api.transfers.backlog import Backlog
from api.transfers.batch_readings import BatchReadings
from api.transfers.intake import BATCH_GROUP_MAX, BESIDE_MIN, GROUP_MAX, Doors, Intake
from api.transfers.reading import Readings
from api.transfers.room import Room
from api.transfers.waiting import Endings
from api.unreadable import HttpProtocol
from api.users import routes as user_routes
from api.users.pins import Pins
from api.users.tokens import Tokens
from api.wallets import routes as wallet_routes
from api.webhook_deliveries import routes as delivery_routes
from api.webhook_endpoints import routes as endpoint_routes
from shared import clock, crash_points
from shared.crash_reports import report_crashes
from shared.database.acceptance import accept
from shared.database.acceptance_at_once import accept_at_once
from shared.database.batch_acceptance import accept_batches
from shared.database.connections import API, connect
from shared.database.engine import looking_engine, reading_engine
from shared.database.health import loses_commits
from shared.database.lane_count import count_lanes
from shared.database.pool import intake_pool
from shared.memory import collect_seldom
from shared.queue import WakeUps, apply_in
from shared.secrets_at_rest import SecretsAtRest
from shared.settings import ApiSettings, read_settings
from shared.telemetry import configure_logging, first_line

log = structlog.get_logger()

INTAKE_CONNECTIONS: Final = 6
"""Three for transfers and one for batches; the others for requests of a group that failed, which are then written side
by side."""

BODY_BYTES_MAX: Final = 64 * 1024
LARGER_BODY_BYTES_MAX: Final = {"/v1/wallets": 1024 * 1024, "/v1/transfer-batches": 1024 * 1024}
"""By path: a thousand wallets are one request, and so are a thousand transfers."""

STOP_SECONDS_MAX: Final = 10

IDLE_SECONDS_MAX: Final = 75
"""How long a connection may be idle: longer than callers keep one (httpx 5 s), and the proxies before us (AWS 60 s).
Whoever sends into one that is being closed gets no answer, and does not know what became of the transfer."""

ROUTERS: Final = (
    token_routes.router,
    user_routes.router,
    key_routes.router,
    wallet_routes.router,
    transfer_routes.direct_router,
    transfer_routes.router,
    batch_routes.router,
    event_routes.router,
    endpoint_routes.router,
    delivery_routes.router,
    system_routes.router,
    problem_pages.router,
    health.router,
    metric_routes.router,
)

CORS_REQUEST_HEADERS: Final = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "X-Request-ID",
)  # fmt: skip
CORS_ANSWER_HEADERS: Final = (
    "ETag", "Idempotency-Key", "Idempotent-Replayed", "Link", "Location", "Preference-Applied", "RateLimit",
    "RateLimit-Policy", "Retry-After", "X-Request-ID",
)  # fmt: skip
"""What scripts of the listed origins may send and read, beyond what CORS lets pass anyway."""

DESCRIPTION: Final = """
Moves money between wallets, asynchronously and exactly once. Amounts are whole minor units (paisa, cents).

`POST /v1/transfers` with an `Idempotency-Key` answers 202 once the transfer stands in the ledger's queue; it is applied
soon after. Send the same request with the same key as often as you like: it has one effect. Ignore fields, statuses and
codes that you do not know: the contract grows by addition.

Every failure is a problem (`application/problem+json`, RFC 9457) whose `code` is for programs and whose `type` leads to
a page about it. Not listed with each operation, since they can happen anywhere: 404 `not_found` for an address that
there is not, 405 `method_not_allowed` with `Allow`, 400 `malformed_request` for what is not HTTP.
"""

FSYNC_IS_OFF: Final = (
    "This PostgreSQL runs with fsync=off and may lose what it has confirmed. Turn fsync on; "
    "HISHAB_ALLOW_FSYNC_OFF=true is for tests alone."
)


def main() -> None:
    """Serve until told to stop (SIGTERM, SIGINT)."""
    # uvicorn raises the signal again once it has stopped in good order; that is not an error.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    settings = read_settings(ApiSettings)
    configure_logging(settings.log_format)
    report_crashes(settings.sentry_dsn, process="api")
    if settings.crash_at:
        crash_points.arm(crash_points.parse(settings.crash_at))
    lane_count = wait_for_database(settings)
    raise_file_limit()
    app = make_app(settings, lane_count=lane_count)
    config = uvicorn.Config(
        make_edge(app, cors_origins=settings.cors_origins),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpProtocol,
        timeout_keep_alive=IDLE_SECONDS_MAX,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
    )
    parts: Parts = app.state.parts
    server = Server(config, on_stop=parts.endings.stop)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def wait_for_database(settings: ApiSettings) -> int:
    """Wait until PostgreSQL is there and its tables are made, and say how many lanes it has.

    Raises:
        SystemExit: It may lose commits that it has confirmed (fsync is off).
    """
    while True:
        try:
            with connect(settings.database_url, application_name="hishab-api", timeouts=API) as connection:
                if loses_commits(connection) and not settings.allow_fsync_off:
                    sys.exit(FSYNC_IS_OFF)
                return count_lanes(connection)
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
            log.warning("api.waiting_for_postgresql", error=first_line(error))
            clock.pause(1)


def make_app(settings: ApiSettings, *, lane_count: int) -> FastAPI:
    """Make the application; nothing is connected before it starts."""
    app = FastAPIOffline(
        title="Hishab",
        version=version("hishab"),
        description=DESCRIPTION,
        openapi_url="/openapi.json",
        # An address has one spelling; the redirect would go to whatever host the request names.
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.parts = make_parts(settings, lane_count=lane_count)
    app.add_middleware(Head)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    specification.install(app)
    return app


def make_edge(app: FastAPI, *, cors_origins: Sequence[str] = ()) -> ASGIApp:
    """Put around an application what every request passes, and the operations that do without it."""
    direct = Direct(app, routers=ROUTERS)
    edge: ASGIApp = BodyLimit(direct, bytes_max=BODY_BYTES_MAX, larger=LARGER_BODY_BYTES_MAX)
    if cors_origins:
        edge = CORSMiddleware(
            edge,
            allow_origins=cors_origins,
            allow_methods=problems.METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_ANSWER_HEADERS,
        )
    return RequestIds(edge)


def make_parts(settings: ApiSettings, *, lane_count: int) -> Parts:
    """Make what the routes stand on."""
    pool = intake_pool(settings.database_url, size_max=INTAKE_CONNECTIONS)
    engine = reading_engine(settings.database_url, pool_size=settings.database_pool_size)
    looking = looking_engine(settings.database_url)
    wake_ups = WakeUps(settings.broker_url)
    tokens = Tokens(settings.token_keys)
    endings = Endings(settings.database_url, watched_max=settings.watched_max)
    backlog = Backlog(looking, transfers_max=settings.backlog_max)
    doors = Doors(
        pool=pool,
        lane_count=lane_count,
        is_full=backlog.is_full,
        wake_lane=lambda lane: wake_ups.send(apply_in(lane)),
    )
    return Parts(
        settings=settings,
        engine=engine,
        looking_engine=looking,
        intake_pool=pool,
        intake=Intake(
            doors,
            room=_room(settings),
            accept=accept,
            accept_at_once=accept_at_once,
            group_max=GROUP_MAX,
            beside_min=BESIDE_MIN,
        ),
        batch_intake=Intake(doors, room=_room(settings), accept=accept_batches, group_max=BATCH_GROUP_MAX),
        backlog=backlog,
        looks=Looks(looking),
        readings=Readings(engine),
        endings=endings,
        batches=BatchReadings(engine, endings=endings),
        wake_ups=wake_ups,
        known_callers=KnownCallers(partial(look_up, engine=looking, tokens=tokens)),
        caller_quotas=Quotas(requests=settings.requests_per_second, window_seconds=QUOTA_WINDOW_SECONDS),
        address_quotas=Quotas(requests=settings.sign_ins_per_minute, window_seconds=sign_ins.WINDOW_SECONDS),
        tokens=tokens,
        pins=Pins(settings.pin_pepper),
        endpoint_secrets=SecretsAtRest(settings.webhook_secret_keys),
        lane_count=lane_count,
    )


def _room(settings: ApiSettings) -> Room:
    return Room(transfers_max=settings.intake_waiting_max, bytes_max=settings.intake_waiting_bytes_max)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    parts: Parts = app.state.parts
    collect_seldom()
    await parts.intake_pool.open()
    intakes = [
        asyncio.create_task(parts.intake.run(), name="intake"),
        asyncio.create_task(parts.batch_intake.run(), name="batch intake"),
    ]
    watchers = [
        asyncio.create_task(parts.endings.run(), name="endings"),
        asyncio.create_task(parts.backlog.run(), name="backlog"),
    ]
    for task in (*intakes, *watchers):
        task.add_done_callback(_end_process)
    try:
        yield
    finally:
        # The intakes end by themselves, after their last commits: those must not be cancelled.
        for task in (*intakes, *watchers):
            task.remove_done_callback(_end_process)
        parts.intake.stop()
        parts.batch_intake.stop()
        for task in watchers:
            task.cancel()
        await asyncio.gather(*intakes, *watchers, return_exceptions=True)
        await parts.intake_pool.close()
        await parts.engine.dispose()
        await parts.looking_engine.dispose()
        await asyncio.to_thread(parts.wake_ups.stop)


def _end_process(task: asyncio.Task[None]) -> None:
    """End the process when one of its tasks has ended before it: it would serve, and keep everybody waiting."""
    log.critical("api.task_ended", task=task.get_name(), exc_info=task.exception())
    signal.raise_signal(signal.SIGTERM)


def _exit(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
