"""Make the database that every scenario starts from: wallets with funds, and somebody whose webhook is owed."""

from secrets import token_hex
from typing import Any

import httpx2
import psycopg

from tests.load.backlog import accept_all
from tests.load.endings import endings_in
from tests.load.payments import (
    CURRENCY,
    FUNDS_MINOR,
    POOR_FUNDS_MINOR,
    POOR_WALLETS,
    WALLETS,
    Payment,
    Wallets,
)
from tests.load.servers import Servers
from tests.load.system import EVERYTHING, System, make_ready, planned

NAME = "seed"
OPEN_AT_ONCE = 1_000
PIN = "27182"


def sow(servers: Servers, *, webhook_url: str) -> Wallets:
    """Make the database `seed`, through the API and the lanes, as whoever runs Hishab would."""
    with planned(servers, name="hishab", database_url=servers.create_database(NAME)) as system:
        make_ready(system)
        system.start(*EVERYTHING)
        with httpx2.Client(base_url=system.plan.url, timeout=60, trust_env=False) as http:
            told = _subscriber(http, webhook_url=webhook_url)
            http.headers["Authorization"] = f"Bearer {system.operator_key}"
            opened = _open(http, [f"wallet-{number}" for number in range(WALLETS + POOR_WALLETS)])
            (issuance,) = _ok(http.get("/v1/wallets", params={"kind": "issuance", "currency": CURRENCY}))["data"]
        wallets = Wallets(
            issuance=issuance["id"], spread=tuple(opened[:WALLETS]), poor=tuple(opened[WALLETS:]), told=told
        )
        _fund(system, wallets)
    with psycopg.connect(servers.database_url(NAME), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return wallets


def _subscriber(http: httpx2.Client, *, webhook_url: str) -> str:
    """Sign somebody up who wants to be told what happens, and give their wallet."""
    email = f"{token_hex(8)}@example.org"
    shown = _ok(http.post("/v1/users", json={"name": "Rina", "email": email, "pin": PIN}))
    token = _ok(http.post("/v1/token", data={"username": email, "password": PIN}))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    _ok(http.post("/v1/webhook-endpoints", json={"url": webhook_url}, headers=headers))
    return shown["wallet_id"]


def _open(http: httpx2.Client, names: list[str]) -> list[str]:
    opened: list[str] = []
    for first in range(0, len(names), OPEN_AT_ONCE):
        asked = [{"currency": CURRENCY, "external_id": name} for name in names[first : first + OPEN_AT_ONCE]]
        opened.extend(item["wallet"]["id"] for item in _ok(http.post("/v1/wallets", json=asked))["data"])
    return opened


def _fund(system: System, wallets: Wallets) -> None:
    rich = [Payment(wallets.issuance, wallet, FUNDS_MINOR, f"fund-{wallet}") for wallet in wallets.spread]
    poor = [Payment(wallets.issuance, wallet, POOR_FUNDS_MINOR, f"fund-{wallet}") for wallet in wallets.poor]
    with endings_in(system.database_url) as endings:
        due = endings.count + len(rich) + len(poor)
        accept_all(system.database_url, [*rich, *poor])
        system.wake(1)
        endings.await_count(due)


def _ok(answer: httpx2.Response) -> Any:  # noqa: ANN401 (what the server said)
    assert answer.is_success, answer.text
    return answer.json()
