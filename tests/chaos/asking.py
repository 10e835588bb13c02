"""Ask a running system for something, and note what is known of it afterwards: done, refused, or nobody knows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.chaos.history import History, Kind, Operation, Outcome

TRANSFERS = "/v1/transfers"
BATCHES = "/v1/transfer-batches"
WALLETS = "/v1/wallets"
READY = "/readyz"

TIMEOUT = httpx2.Timeout(15.0, connect=3.0, pool=30.0)
CONNECTIONS_MAX = 120

WROTE_NOTHING = frozenset({"queue_unavailable"})
"""Codes of a 503 that says so."""

COME_BACK = frozenset({409, 429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The way to a system, for all clients of a run."""

    http: httpx2.AsyncClient = field(repr=False)
    history: History

    @classmethod
    def of(cls, url: str, *, history: History) -> "Asking":
        """Connect nowhere yet."""
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        http = httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits, trust_env=False)
        return cls(http=http, history=history)

    async def post(
        self,
        kind: Kind,
        *,
        path: str,
        key: str,
        body: bytes,
        person: int,
        credentials: str,
        prefer: str | None = None,
    ) -> Operation:
        """Send a transfer, or a batch of them."""
        asked, waits = json.loads(body), prefer is not None
        operation = self.history.invoke(kind, about=key, person=person, asked=asked, waits=waits)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json", **_by(credentials, prefer=prefer)}
        return await self._ask(operation, "POST", path, headers=headers, content=body)

    async def get(
        self,
        kind: Kind,
        *,
        path: str,
        about: str,
        person: int = -1,
        credentials: str | None = None,
        prefer: str | None = None,
    ) -> Operation:
        """Read something."""
        operation = self.history.invoke(kind, about=about, person=person, waits=prefer is not None)
        return await self._ask(operation, "GET", path, headers=_by(credentials, prefer=prefer))

    async def _ask(
        self, operation: Operation, method: str, path: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> Operation:
        try:
            answer = await self.http.request(method, path, headers=dict(headers), content=content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            # Nothing was sent.
            self.history.failed(operation, outcome=Outcome.FAILED, trouble=type(error).__name__)
        except httpx2.HTTPError as error:
            self.history.failed(operation, outcome=Outcome.UNKNOWN, trouble=type(error).__name__)
        else:
            outcome = outcome_of(answer.status_code, answer.text)
            self.history.answered(
                operation, outcome=outcome, status=answer.status_code, body=answer.text, headers=answer.headers
            )
        return operation


def outcome_of(status: int, body: str) -> Outcome:
    """Say what an answer tells."""
    match status:
        case _ if status < 400:
            return Outcome.OK
        case 503:
            problem: Any = json.loads(body) if body.startswith("{") else {}
            return Outcome.FAILED if problem.get("code") in WROTE_NOTHING else Outcome.UNKNOWN
        case _ if status < 500:
            return Outcome.FAILED
        case _:
            return Outcome.UNKNOWN


def _by(credentials: str | None, *, prefer: str | None) -> dict[str, str]:
    named = {"Authorization": f"Bearer {credentials}" if credentials else None, "Prefer": prefer}
    return {name: value for name, value in named.items() if value}
