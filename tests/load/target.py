"""Drive any HTTP endpoint that accepts transfers, by the same load: `make bench BENCH_ARGS="--target URL"`.

What an endpoint wants to be sent is the business of an adapter: a class with the three methods of `Adapter`, named with
`--adapter module:Class`. Hishab's own is here, and shows how little that is.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from itertools import islice
from typing import Protocol, cast

import httpx2

from tests.load.figures import percentile
from tests.load.generator import Answer, Generate, Job, Server
from tests.load.over_http import CONNECTIONS, TRANSFERS
from tests.load.payments import CURRENCY, FUNDS_MINOR, Payment, Wallets, payments

CREDENTIALS_VARIABLE = "BENCH_CREDENTIALS"
OWN_ADAPTER = "tests.load.target:Hishab"
WALLETS = 1_000
REQUESTS_MAX = 100_000
PER_SECOND_MAX = 20_000
OPEN_LOOP_SHARE = 0.5


class Adapter(Protocol):
    """What has to be known of an endpoint. Made with its address and its credentials (None if it wants none)."""

    def wallets(self, count: int) -> list[str]:
        """Open so many wallets (or accounts), each with ample funds, and name them."""
        ...

    def request(self, payment: Payment) -> bytes:
        """Render the request that sends a payment."""
        ...

    def is_accepted(self, answer: Answer) -> bool:
        """Say whether an answer promises what a 202 of Hishab promises."""
        ...


class Hishab:
    """A running Hishab; the credentials are an operator's API key."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def wallets(self, count: int) -> list[str]:
        headers = {"Authorization": f"Bearer {self._server.credentials}"}
        with httpx2.Client(base_url=self._server.url, headers=headers, timeout=60, trust_env=False) as http:
            named = [{"currency": CURRENCY, "external_id": f"bench-{number}"} for number in range(count)]
            opened = http.post("/v1/wallets", json=named).raise_for_status().json()["data"]
            (issuance,) = http.get("/v1/wallets", params={"kind": "issuance", "currency": CURRENCY}).json()["data"]
            ids = [item["wallet"]["id"] for item in opened]
            for wallet in ids:
                funding = Payment(issuance["id"], wallet, FUNDS_MINOR, f"bench-fund-{wallet}")
                key = {"Idempotency-Key": funding.key}
                http.post(TRANSFERS, json=funding.body(), headers=key).raise_for_status()
        return ids

    def request(self, payment: Payment) -> bytes:
        return self._server.post(TRANSFERS, payment.body(), key=payment.key)

    def is_accepted(self, answer: Answer) -> bool:
        return answer.status == 202


def measure(url: str, *, adapter: str, generate: Generate, seconds: float) -> Mapping[str, float]:
    """Send as fast as it answers, then at half of that, and say what it took."""
    endpoint = _made(adapter, Server(url=url, credentials=os.environ.get(CREDENTIALS_VARIABLE)))
    server = Server(url=url)
    names = endpoint.wallets(WALLETS)
    wallets = Wallets(issuance="", spread=tuple(names[3:]), poor=tuple(names[:2]), told=names[2])
    planned = payments(wallets, label=os.urandom(8).hex())

    def send(*, count: int, per_second: float | None) -> list[Answer]:
        requests = [endpoint.request(payment) for payment in islice(planned, count)]
        job = Job(server=server, requests=requests, connections=CONNECTIONS, seconds_max=seconds, per_second=per_second)
        return generate(job)

    closed = send(count=min(REQUESTS_MAX, int(seconds * PER_SECOND_MAX)), per_second=None)
    lasted = max(answer.answered_seconds for answer in closed) - min(answer.sent_seconds for answer in closed)
    per_second = len(closed) / lasted * OPEN_LOOP_SHARE
    opened = send(count=max(int(per_second * seconds), 1), per_second=per_second)
    waited_ms = [1_000 * (answer.answered_seconds - answer.intended_seconds) for answer in opened]
    return {
        f"answered a second, {CONNECTIONS} connections": len(closed) / lasted,
        "of these not accepted": len([answer for answer in closed if not endpoint.is_accepted(answer)]),
        "at half of that, answered after ms, p50": percentile(waited_ms, 0.5),
        "at half of that, answered after ms, p99": percentile(waited_ms, 0.99),
        "of these not accepted either": len([answer for answer in opened if not endpoint.is_accepted(answer)]),
    }


def _made(adapter: str, server: Server) -> Adapter:
    module, _, name = adapter.partition(":")
    return cast("Adapter", getattr(import_module(module), name)(server))
