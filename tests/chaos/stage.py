"""Set a chaos run up: PostgreSQL and a broker of its own, a `hishab up` on them, and people with money."""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from hishab.embedded import PrivateBroker, PrivatePostgres, find_broker
from hishab.ports import LOOPBACK, free_ports
from hishab.postgres_program import find_postgres
from tests.chaos.clocks import Clocks
from tests.chaos.crowd import CLIENTS, Crowd
from tests.chaos.fault import Need
from tests.chaos.history import History
from tests.chaos.people import LISTENING, settled
from tests.chaos.relay import Relay, relaying
from tests.chaos.server import Server, serving
from tests.chaos.small_disk import small_disk
from tests.chaos.world import DATABASE, World
from tests.running_system import running_system

SETTINGS: Mapping[str, str] = {
    # Receivers are away for as long as a fault takes, and all is to be told within a minute after it.
    "HISHAB_WEBHOOK_RETRY_SECONDS": ",".join(["0.5", "1", "1", *["2"] * 27]),
    "HISHAB_WEBHOOK_OVERLOADED_SECONDS": "2",
    "HISHAB_REQUESTS_PER_SECOND": "1000000",
}


@contextmanager
def staged(
    place: Path, *, needs: frozenset[Need], seed: int, clients: int = CLIENTS, listening: int = LISTENING
) -> Generator[World]:
    """Run everything until the block is left, with so many people told by webhooks; nobody sends anything yet."""
    with ExitStack() as stack:
        postgres_port, broker_port = free_ports(LOOPBACK, LOOPBACK)
        disk = stack.enter_context(small_disk(place)) if Need.SMALL_DISK in needs else None
        postgres = stack.enter_context(_postgres(place, directory=(disk or place) / "postgres", port=postgres_port))
        broker = stack.enter_context(_broker(place, port=broker_port))
        relays = [
            stack.enter_context(relaying(to_port=server.port)) if Need.RELAYS in needs else None
            for server in (postgres, broker)
        ]
        clocks = Clocks.of(place / "clocks") if Need.FAKED_CLOCK in needs else None
        system = stack.enter_context(
            running_system(
                place / "data",
                "--allow-local-webhooks",
                *("--database-url", _through(relays[0], _database_url(postgres))),
                *("--broker-url", _through(relays[1], broker.url)),
                environment=SETTINGS if clocks is None else {**SETTINGS, **clocks.environment},
            )
        )
        people = stack.enter_context(settled(system, listening=listening))
        file = stack.enter_context((place / "history.jsonl").open("w", encoding="utf-8"))
        crowd = Crowd(url=system.url, people=people, history=History(file=file), seed=seed, clients=clients)
        stack.callback(crowd.close)
        yield World(
            system=system,
            postgres=postgres,
            broker=broker,
            crowd=crowd,
            postgres_relay=relays[0],
            broker_relay=relays[1],
            small_disk=disk,
            clocks=clocks,
            place=place,
            stopping=threading.Event(),
        )


def _through(relay: Relay | None, url: str) -> str:
    return url if relay is None else at_port(url, relay.port)


def at_port(url: str, port: int) -> str:
    """Give the same address by another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")))


@contextmanager
def _postgres(place: Path, *, directory: Path, port: int) -> Generator[Server]:
    server = PrivatePostgres(
        program=find_postgres(place, environment=os.environ),
        directory=directory,
        port=port,
        password=token_hex(),
    )
    with serving(server, log=place / "postgres.log") as kept:
        with psycopg.connect(kept.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        yield kept


@contextmanager
def _broker(place: Path, *, port: int) -> Generator[Server]:
    server = PrivateBroker(
        binary=find_broker(environment=os.environ), directory=place / "broker", port=port, password=token_hex()
    )
    with serving(server, log=place / "broker.log") as kept:
        yield kept


def _database_url(postgres: Server) -> str:
    return postgres.url.removesuffix("/postgres") + f"/{DATABASE}"
