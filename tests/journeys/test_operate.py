"""The commands of the operators' pages that need a moment of their own do what the pages say."""

import os
import signal
import subprocess
from pathlib import Path
from secrets import token_hex

import httpx2
import psycopg
import pytest
from psycopg import sql

from hishab.embedded import PrivatePostgres
from hishab.ports import LOOPBACK, free_ports
from shared.database.connections import WORKER, connect
from shared.database.forgetting import forget_some
from shared.database.lane_count import LanesStayError, change, count_lanes
from shared.domain.acceptance import Accepted
from shared.identifiers import new_id
from tests.callers import operators_wallet
from tests.eventually import eventually
from tests.journeys.pages import ROOT, blocks, environment, named, run_named
from tests.ledger import Ledger
from tests.running_system import STOP_SECONDS_MAX, System, descendants, is_running, tail

OPERATE = "docs/operate.md"
LANE_COUNT = "docs/runbooks/lane-count.md"
START_SECONDS_MAX = 120.0


def test_a_system_starts_by_the_page(
    postgres: PrivatePostgres, broker_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    (port,) = free_ports(LOOPBACK)
    variables = {
        "HISHAB_DATABASE_URL": empty_database_url,
        "HISHAB_BROKER_URL": broker_url.removesuffix("/0") + "/5",
        "HISHAB_PORT": str(port),
        "HISHAB_ALLOW_FSYNC_OFF": "true",
    }
    script = named(OPERATE, "deploy", "make-the-database", "start") + "wait\n"
    log = tmp_path / "log"
    with log.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-euc", script],
            cwd=tmp_path,
            env={**environment(postgres.program.binaries), **variables},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # A group of its own, to be ended as one.
            start_new_session=True,
        )
        try:
            url = f"http://{LOOPBACK}:{port}"
            eventually(lambda: _is_ready(url), seconds_max=START_SECONDS_MAX, otherwise=lambda: tail(log))
            key = (tmp_path / "operator.key").read_text().strip()
            headers = {"Authorization": f"Bearer {key}"}
            with httpx2.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
                assert operators_wallet(http, holding=100)
        finally:
            parts = descendants(shell.pid)
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(STOP_SECONDS_MAX)
            eventually(lambda: not any(map(is_running, parts)), seconds_max=STOP_SECONDS_MAX)


def test_parts_do_with_a_role_that_may_not_change_facts(
    postgres: PrivatePostgres, database_url: str, tmp_path: Path
) -> None:
    password = token_hex()
    variables = {"HISHAB_DATABASE_URL": database_url, "PARTS_PASSWORD": password}
    try:
        ran = run_named(
            OPERATE, "least-privilege", binaries=postgres.program.binaries, directory=tmp_path, variables=variables
        )
        assert ran.returncode == 0, ran.stdout
        whole = Ledger.on(database_url)
        with whole.connection:
            source_id, destination_id = whole.wallet(holding=10), whole.wallet()
        _, _, place = database_url.rpartition("@")
        ledger = Ledger.on(f"postgresql://hishab_parts:{password}@{place}")
        with ledger.connection:
            request = ledger.request(source_id, destination_id, 1, key="once")
            (accepted,) = ledger.accept([request])
            (replayed,) = ledger.accept([ledger.request(source_id, destination_id, 1, key="once")])
            assert isinstance(accepted, Accepted)
            assert isinstance(replayed, Accepted)
            assert (replayed.replayed, replayed.transfer) == (True, accepted.transfer)
            ledger.drain()
            assert ledger.ending(request.transfer_id) == "succeeded"
            forget_some(ledger.connection)
            assert ledger.violations() == []
            for statement in (
                sql.SQL("UPDATE entries SET amount = 1"),
                sql.SQL("DELETE FROM transfers"),
                sql.SQL("UPDATE events SET type = 'x'"),
                sql.SQL("INSERT INTO lanes (lane) VALUES (9)"),
                sql.SQL("DROP TABLE queue"),
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    ledger.connection.execute(statement)
    finally:
        with connect(database_url, application_name="test", timeouts=WORKER) as connection:
            connection.execute("DROP OWNED BY hishab_parts")
            connection.execute("DROP ROLE hishab_parts")


def test_lanes_are_added_by_the_page(postgres: PrivatePostgres, database_url: str, tmp_path: Path) -> None:
    ran = run_named(
        LANE_COUNT,
        "api-stopped",
        binaries=postgres.program.binaries,
        directory=tmp_path,
        variables={"HISHAB_DATABASE_URL": database_url},
    )
    assert ran.returncode == 0, ran.stdout
    with connect(database_url, application_name="test", timeouts=WORKER) as connection:
        assert count_lanes(connection) == 4


def test_lanes_are_not_added_beside_an_api(system: System) -> None:
    with (
        connect(system.database_url, application_name="test", timeouts=WORKER) as connection,
        pytest.raises(LanesStayError, match="The API runs"),
    ):
        change(connection, count=2)


def test_the_database_knows_what_the_pages_ask(database_url: str) -> None:
    runbooks = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs" / "runbooks").glob("*.md"))]
    asked = [block.text for page in runbooks for block in blocks(page) if block.language == "sql"]
    assert len(asked) >= 3
    with Ledger.on(database_url).connection as connection:
        for statement in asked:
            connection.execute(statement.replace("…", str(new_id())).encode())


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
