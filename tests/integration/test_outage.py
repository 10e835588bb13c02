"""While PostgreSQL is away callers are told to come back; soon after it is back all is as before, without a restart."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from hishab.embedded import PrivatePostgres
from tests.callers import problem_in
from tests.edge_process import edge_process
from tests.eventually import eventually
from tests.ledger import CURRENCY, Ledger

AFTER_SECONDS_MAX = 20.0
"""Five are promised; the rest is for a machine that has other things to do."""


@contextmanager
def away(postgres: PrivatePostgres, ledger: Ledger) -> Generator[None]:
    """Throw the edge out of the database, and let it in no more until the block is left."""
    name = ledger.value("SELECT current_database()")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name LIKE 'hishab%%'",
            [name],
        )
        yield
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_is_503_with_patience_and_over_within_seconds(
    postgres: PrivatePostgres, ledger: Ledger, tmp_path: Path
) -> None:
    body = {
        "source_wallet_id": str(ledger.issuance_id),
        "destination_wallet_id": str(ledger.wallet()),
        "amount": 1,
        "currency": CURRENCY,
    }
    with edge_process(ledger, tmp_path) as edge:

        def send(key: str) -> int:
            answer = edge.http.post("/v1/transfers", json=body, headers={"Idempotency-Key": key})
            if answer.status_code == 503:
                assert answer.json()["code"] in {"queue_unavailable", "service_unavailable", "outcome_unknown"}
                assert int(answer.headers["retry-after"]) >= 1
            return answer.status_code

        assert send("before") == 202
        with away(postgres, ledger):
            # Long enough for whoever tries to connect again to become patient.
            assert [send(f"meanwhile-{n}") for n in range(3)] == [503] * 3
            problem_in(edge.http.get("/v1/transfers"), status=503, code="service_unavailable")
            assert edge.http.get("/readyz").status_code == 503
            eventually(lambda: "hishab_database_up 0.0" in edge.http.get("/metrics").text)
        eventually(lambda: send("after") == 202, seconds_max=AFTER_SECONDS_MAX)
        eventually(lambda: edge.http.get("/readyz").status_code == 200, seconds_max=AFTER_SECONDS_MAX)
        eventually(lambda: "hishab_database_up 1.0" in edge.http.get("/metrics").text)
