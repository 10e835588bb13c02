"""Ask an edge that stands alone, no broker and no worker beside it: what it accepts, and what it turns away and how."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx2
import pytest

from shared import clock
from shared.database.acceptance import accept
from shared.database.connections import AUDIT, connect_async
from shared.database.key_registration import register_key
from shared.domain.api_key import KEY_PREFIX, hash_key
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.domain.scope import TRANSFERS_READ, TRANSFERS_WRITE
from shared.identifiers import new_id
from tests.callers import problem_in
from tests.edge_process import Edge, edge_process
from tests.eventually import eventually
from tests.ledger import CURRENCY, Ledger

BACKLOG_MAX: Final = 3

KEPT_SECONDS: Final = 5
"""As httpx keeps an idle connection, and uvicorn too unless it is told otherwise."""

REPLAYED: Final = "Idempotent-Replayed"
LIMITED_KEY: Final = f"{KEY_PREFIX}limited"


@pytest.fixture
def edge(ledger: Ledger, tmp_path: Path) -> Iterator[Edge]:
    """An edge that accepts little, and asks for patience soon."""
    settings = {"BACKLOG_MAX": str(BACKLOG_MAX), "REQUESTS_PER_SECOND": "1"}
    with edge_process(ledger, tmp_path, settings=settings) as edge:
        yield edge


@pytest.fixture
def body(ledger: Ledger) -> dict[str, Any]:
    """A transfer that can be paid many times."""
    return {
        "source_wallet_id": str(ledger.wallet(holding=1_000)),
        "destination_wallet_id": str(ledger.wallet()),
        "amount": 1,
        "currency": CURRENCY,
    }


def send(http: httpx2.Client, body: object, *, key: str) -> httpx2.Response:
    return http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key})


def send_batch(http: httpx2.Client, body: object, *, key: str) -> httpx2.Response:
    return http.post("/v1/transfer-batches", json={"transfers": [body]}, headers={"Idempotency-Key": key})


def is_replay(answer: httpx2.Response, *, of: httpx2.Response) -> bool:
    return (answer.status_code, answer.content, answer.headers.get(REPLAYED)) == (202, of.content, "true")


def fill(http: httpx2.Client, body: object) -> None:
    """Send until no more is accepted; the edge looks at its backlog twice a second."""
    keys = (f"filling-{n}" for n in range(1_000_000))
    refused = eventually(lambda: next((a for a in [send(http, body, key=next(keys))] if a.status_code != 202), None))
    assert refused is not None
    problem_in(refused, status=503, code="queue_unavailable")


def test_keeps_an_idle_connection_for_longer_than_its_caller_does(edge: Edge) -> None:
    with closing(HTTPConnection(edge.url.removeprefix("http://"), timeout=60)) as kept:
        kept.request("GET", "/livez")
        assert kept.getresponse().read()
        # Whoever sends at the end of that time must not meet a connection that is being closed.
        clock.pause(KEPT_SECONDS + 1)
        kept.request("GET", "/livez")
        assert kept.getresponse().status == 200


class TestFullQueue:
    def test_is_not_filled_further_and_replays_all_the_same(
        self, edge: Edge, ledger: Ledger, body: dict[str, Any]
    ) -> None:
        first, first_batch = send(edge.http, body, key="first"), send_batch(edge.http, body, key="first")
        assert (first.status_code, first_batch.status_code) == (202, 202)
        fill(edge.http, body)
        queued = ledger.value("SELECT count(*) FROM queue")
        for refused in (send(edge.http, body, key="later"), send_batch(edge.http, body, key="later")):
            problem_in(refused, status=503, code="queue_unavailable")
            assert int(refused.headers["retry-after"]) >= 1
        # The key is looked up before there is any talk of the queue.
        assert is_replay(send(edge.http, body, key="first"), of=first)
        assert is_replay(send_batch(edge.http, body, key="first"), of=first_batch)
        for other in (send, send_batch):
            problem_in(other(edge.http, {**body, "amount": 2}, key="first"), status=422, code="idempotency_key_reused")
        assert ledger.value("SELECT count(*) FROM queue") == queued

    def test_leaves_the_key_of_what_it_turned_away_free(self, edge: Edge, ledger: Ledger, body: dict[str, Any]) -> None:
        fill(edge.http, body)
        problem_in(send(edge.http, body, key="again"), status=503, code="queue_unavailable")
        ledger.drain()
        accepted = eventually(lambda: next((a for a in [send(edge.http, body, key="again")] if a.is_success), None))
        assert accepted is not None
        assert REPLAYED not in accepted.headers
        assert is_replay(send(edge.http, body, key="again"), of=accepted)


class TestKey:
    def test_in_use_elsewhere_is_409_after_a_while(self, edge: Edge, ledger: Ledger, body: dict[str, Any]) -> None:
        wallets = (UUID(body["source_wallet_id"]), UUID(body["destination_wallet_id"]))
        under_way = ledger.request(*wallets, 1, key="held")

        async def send_meanwhile() -> httpx2.Response:
            async with (
                await connect_async(ledger.database_url, application_name="test", timeouts=AUDIT) as connection,
                connection.transaction(force_rollback=True),
            ):
                await accept(connection, [under_way], lane_count=1)
                return await asyncio.to_thread(send, edge.http, body, key="held")

        refused = asyncio.run(send_meanwhile())
        problem_in(refused, status=409, code="idempotency_key_in_use")
        assert refused.headers["retry-after"] == "1"
        accepted = send(edge.http, body, key="held")
        assert (accepted.status_code, accepted.headers.get(REPLAYED)) == (202, None)

    def test_of_whoever_asked_too_often_stays_free(self, edge: Edge, ledger: Ledger, body: dict[str, Any]) -> None:
        register_key(
            ledger.connection,
            key_id=new_id(),
            owner_id=OPERATORS_OWNER_ID,
            key_hash=hash_key(LIMITED_KEY),
            scopes=[TRANSFERS_READ, TRANSFERS_WRITE],
        )
        headers = {"Authorization": f"Bearer {LIMITED_KEY}"}
        with httpx2.Client(base_url=edge.url, headers=headers, timeout=60, trust_env=False) as http:
            eventually(lambda: http.get("/v1/transfers").status_code == 429)
            answers: list[httpx2.Response] = []
            eventually(lambda: answers.append(send(http, body, key="mine")) or answers[-1].status_code == 202)
        for refused in answers[:-1]:
            problem_in(refused, status=429, code="quota_exceeded")
            assert int(refused.headers["retry-after"]) >= 1
        assert REPLAYED not in answers[-1].headers
        assert is_replay(send(edge.http, body, key="mine"), of=answers[-1])


def test_an_acceptance_is_the_same_after_a_restart(ledger: Ledger, tmp_path: Path, body: dict[str, Any]) -> None:
    with edge_process(ledger, tmp_path) as edge:
        first, first_batch = send(edge.http, body, key="k"), send_batch(edge.http, body, key="k")
    ledger.drain()
    with edge_process(ledger, tmp_path) as edge:
        assert is_replay(send(edge.http, body, key="k"), of=first)
        assert is_replay(send_batch(edge.http, body, key="k"), of=first_batch)
