"""Connections on which the other side says nothing any more are given up by whoever has them, without a restart."""

from collections import Counter
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, Final, LiteralString
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
import redis

from tests.callers import Person, ended, pay, signed_up
from tests.chaos.relay import Relay, Then, Trap, relaying
from tests.chaos.stage import at_port
from tests.databases import Databases
from tests.eventually import eventually
from tests.receiver import Receiver, receiving
from tests.running_system import System, running_system

BROKER_NUMBER = 7
"""Other tests use the same broker."""

AGAIN_SECONDS_MAX = 90.0
"""PostgreSQL is given up on within 15 s and the broker within 20, on a machine that has nothing else to do."""

# Of each kind that is connected at all times.
CONNECTED: Final = Counter(
    {
        "hishab-api": 1,
        "hishab-audit": 1,
        "hishab-horizon": 1,
        "hishab-intake": 1,
        "hishab-lanes": 1,
        "hishab-listener": 1,
        "hishab-looks": 1,
        "hishab-recovery": 1,
        "hishab-upkeep": 1,
        # One claims and one records.
        "hishab-webhooks": 2,
    }
)
CONSUMERS = 2

BACKENDS: LiteralString = """
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'hishab-%%'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A system that reaches its servers through relays; the servers themselves are reached past them."""

    system: System
    postgres: Relay
    broker: Relay
    database_url: str
    broker_url: str

    def backends(self) -> dict[int, str]:
        """Say who is connected to PostgreSQL, by the number of the connection."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return dict(connection.execute(BACKENDS).fetchall())

    def counted(self, *, without: Collection[int] = ()) -> Counter[str]:
        """Count who is connected by name, on connections other than these."""
        return Counter(name for pid, name in self.backends().items() if pid not in without)

    def consumers(self) -> set[int]:
        """Number the connections on which somebody waits for wake-ups."""
        broker: Any = redis.Redis.from_url(self.broker_url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType] (no types)
        with broker:
            return {
                int(client["id"])
                for client in broker.client_list()
                if client["cmd"] == "brpop" and client["db"] == str(BROKER_NUMBER)
            }


@pytest.fixture(scope="module")
def behind(databases: Databases, broker_url: str) -> Generator[Behind]:
    own_broker_url = broker_url.removesuffix("/0") + f"/{BROKER_NUMBER}"
    with (
        databases.fresh(template="template1") as database_url,
        relaying(to_port=port(database_url)) as postgres,
        relaying(to_port=port(own_broker_url)) as broker,
        TemporaryDirectory(prefix="hishab-tests-") as directory,
        running_system(
            Path(directory) / "data",
            "--allow-local-webhooks",
            *("--database-url", at_port(database_url, postgres.port)),
            *("--broker-url", at_port(own_broker_url, broker.port)),
            environment={"HISHAB_ALLOW_FSYNC_OFF": "true"},
        ) as system,
    ):
        yield Behind(
            system=system, postgres=postgres, broker=broker, database_url=database_url, broker_url=own_broker_url
        )


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found is not None
    return found


def use_everything(payer: Person, *, to: Person) -> bool:
    """Have something accepted, applied, waited for and read; say whether all of that was possible."""
    # The edge's answers may be late, or say that it cannot, for as long as it has not noticed.
    with suppress(httpx2.TransportError):
        body = {"destination_wallet_id": to.wallet_id, "amount": 1, "currency": "BDT"}
        headers = {"Idempotency-Key": token_hex(8), "Prefer": "wait=2"}
        answers = [
            payer.http.post("/v1/transfers", json=body, headers=headers),
            payer.http.get("/v1/transfers"),
            payer.http.get("/readyz"),
        ]
        assert {answer.status_code for answer in answers} <= {200, 202, 503}, [answer.text for answer in answers]
        return {answer.status_code for answer in answers} == {200}
    return False


@pytest.fixture(autouse=True)
def mended(behind: Behind) -> Generator[None]:
    """Have everything pass again after a test, and those cut whom the relay keeps from hearing of each other's end."""
    yield
    for relay in (behind.postgres, behind.broker):
        relay.mend()


@contextmanager
def customers(behind: Behind) -> Generator[tuple[Person, Person, Receiver]]:
    """Sign up somebody who pays, and somebody who is paid and told of it."""
    with receiving() as receiver, signed_up(behind.system) as payer, signed_up(behind.system) as payee:
        answer = payee.http.post("/v1/webhook-endpoints", json={"url": receiver.url})
        assert answer.status_code == 201, answer.text
        yield payer, payee, receiver


def test_everybody_connects_anew_once_somebody_answers(behind: Behind) -> None:
    with customers(behind) as (payer, payee, receiver):
        eventually(lambda: use_everything(payer, to=payee) and behind.counted() >= CONNECTED)
        old_backends, old_consumers = set(behind.backends()), behind.consumers()
        # New connections are taken, and nothing is said on them.
        for relay in (behind.postgres, behind.broker):
            relay.trap = Trap(word=b"", then=Then.HOLD, left=1_000_000)
            relay.swallow()
        eventually(lambda: payer.http.get("/readyz").status_code == 503)
        # Only new ones are served from now on.
        for relay in (behind.postgres, behind.broker):
            relay.trap = None

        def all_are_back() -> bool:
            is_used = use_everything(payer, to=payee)
            consumers = behind.consumers() - old_consumers
            return is_used and behind.counted(without=old_backends) >= CONNECTED and len(consumers) >= CONSUMERS

        eventually(
            all_are_back,
            seconds_max=AGAIN_SECONDS_MAX,
            otherwise=lambda: f"new are {behind.counted(without=old_backends)}, {behind.consumers() - old_consumers}",
        )
        heard = len(receiver.received)
        eventually(lambda: use_everything(payer, to=payee) and len(receiver.received) > heard)


def test_a_lane_goes_on_whose_worker_hears_nothing_any_more(behind: Behind) -> None:
    with customers(behind) as (payer, payee, _):
        relay = behind.postgres
        trapped, parts = relay.trapped, behind.system.parts
        # The lane is taken by then, and waits for what the worker does not know that it has to send.
        relay.trap = Trap(word=b"COPY entries", then=Then.HOLD, among=b"hishab-lanes")
        old = {pid for pid, name in behind.backends().items() if name == "hishab-lanes"}
        answer = pay(payer.http, to=payee.wallet_id, amount=1, key=token_hex(8))
        assert ended(payer.http, answer.json()["id"])["status"] == "succeeded"
        assert relay.trapped == trapped + 1
        eventually(
            lambda: use_everything(payer, to=payee) and behind.counted(without=old)["hishab-lanes"],
            seconds_max=AGAIN_SECONDS_MAX,
        )
        assert behind.system.parts == parts
