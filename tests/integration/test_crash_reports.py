"""What Sentry is sent where it is set up: what failed and where, every alarm, and nobody's data."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest

from hishab.process import Part
from tests.edge_process import edge_process
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.receiver import Receiver, receiving
from tests.running_system import running, tail
from worker.lanes.apply import ATTEMPTS_MAX, UNPROCESSABLE_IN_A_ROW_MAX

CRASH: Final = """
import sys
{first}
from shared.crash_reports import report_crashes
from shared.telemetry import configure_logging
configure_logging("json")
report_crashes(sys.argv[1], process="test")
canary = sys.argv[2]
{last}
raise ValueError(canary)
"""


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def dsn(sentry: Receiver) -> str:
    return f"http://{token_hex(16)}@127.0.0.1:{sentry.port}/1"


def sent(sentry: Receiver) -> str:
    """Give all that Sentry was sent, headers included."""
    parts: list[str] = []
    for request in list(sentry.received):
        zipped = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if zipped else request.body
        parts += [*request.headers.values(), body.decode()]
    return "\n".join(parts)


def reports(sentry: Receiver) -> list[dict[str, Any]]:
    """Read the events out of the envelopes."""
    found = [json.loads(line) for line in sent(sentry).splitlines() if line.startswith("{")]
    return [line for line in found if "logentry" in line]


def crash(sentry_dsn: str, *, canary: str = "", first: str = "", last: str = "") -> "subprocess.CompletedProcess[str]":
    program = CRASH.format(first=first, last=last)
    command = [sys.executable, "-c", program, sentry_dsn, canary]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_of_a_request_says_what_failed_and_nothing_of_whom(ledger: Ledger, sentry: Receiver, tmp_path: Path) -> None:
    ledger.connection.execute("ALTER TABLE users ADD CONSTRAINT users_surprise CHECK (name <> 'Nobody')")
    canary, request_id = token_hex(8), token_hex(8)
    with edge_process(ledger, tmp_path, settings={"SENTRY_DSN": dsn(sentry), "LOG_FORMAT": "json"}) as edge:
        body = {"name": "Nobody", "email": f"{canary}@example.org", "pin": "84213"}
        headers = {"X-Request-ID": request_id, "User-Agent": canary, "Cookie": canary}
        answer = edge.http.post(f"/v1/users?{canary}={canary}", json=body, headers=headers)
        assert answer.status_code == 500
        (report,) = eventually(lambda: reports(sentry), otherwise=lambda: tail(tmp_path / "api.log"))
    assert report["logentry"]["message"] == "request.failed"
    assert report["extra"] == {"sqlstate": "23514", "constraint": "users_surprise", "request_id": request_id}
    assert report["tags"] == {"process": "api"}
    for secret in (canary, "84213", "argon2", "DETAIL", "Nobody"):
        assert secret not in sent(sentry)
    # In an image a line is a JSON document, whatever it is about.
    for line in (tmp_path / "api.log").read_text().splitlines():
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()


def test_of_what_lanes_raise_as_an_alarm(ledger: Ledger, sentry: Receiver, tmp_path: Path) -> None:
    source, destination = ledger.wallet(holding=100), ledger.wallet()
    transfers = [ledger.accept_one(source, destination, 1) for _ in range(UNPROCESSABLE_IN_A_ROW_MAX + 2)]
    # A defect of ours, which refuses whatever comes.
    ledger.connection.execute("ALTER TABLE entries ADD CONSTRAINT defect CHECK (amount = 0) NOT VALID")
    ledger.connection.execute("UPDATE queue SET attempts = %s", (ATTEMPTS_MAX,))
    environment = {
        **os.environ,
        "HISHAB_DATABASE_URL": ledger.database_url,
        "HISHAB_BROKER_URL": "redis://127.0.0.1:1/0",
        "HISHAB_SENTRY_DSN": dsn(sentry),
        "HISHAB_LOG_FORMAT": "json",
    }
    command, log = [sys.executable, "-m", "worker.main", "upkeep"], tmp_path / "upkeep.log"
    part = Part(name="upkeep", command=command, environment=environment, stop_seconds_max=20)
    with running(part, out=log, log=log):
        stopped = eventually(
            lambda: [r for r in reports(sentry) if r["logentry"]["message"] == "lane.stopped"],
            seconds_max=90,
            otherwise=lambda: tail(log),
        )
    assert (stopped[0]["level"], stopped[0]["extra"]["lane"]) == ("fatal", "1")
    assert stopped[0]["tags"] == {"process": "upkeep"}
    unprocessable = [r for r in reports(sentry) if r["logentry"]["message"] == "transfer.unprocessable"]
    assert {r["extra"]["transfer_id"] for r in unprocessable} == {str(id_) for id_ in transfers[:-1]}
    assert all(json.loads(line)["event"] for line in log.read_text().splitlines())


def test_of_what_ends_a_process_goes_out_before_it_ends(sentry: Receiver) -> None:
    canary = token_hex(8)
    # Reports get two seconds, in which a busy machine may not hear them.
    patience = "import sentry_sdk; sentry_sdk.get_client().options['shutdown_timeout'] = 60"
    ended = crash(dsn(sentry), canary=canary, last=patience)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["event"] == "process.crashed"
    (report,) = reports(sentry)
    assert report["level"] == "fatal"
    assert report["exception"]["values"][0]["type"] == "ValueError"
    assert report["exception"]["values"][0]["stacktrace"]["frames"]
    assert canary not in sent(sentry)


def test_that_cannot_be_sent_are_refused_at_the_start() -> None:
    missing = crash("http://key@127.0.0.1:1/1", first="sys.modules['sentry_sdk'] = None")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "HISHAB_SENTRY_DSN is set, but sentry-sdk is not installed. Install hishab[sentry]" in missing.stderr
    wrong = crash("https://secret-and-no-dsn")
    assert wrong.returncode == 1
    assert "HISHAB_SENTRY_DSN is no DSN" in wrong.stderr
    assert "secret-and-no-dsn" not in wrong.stderr + wrong.stdout


def test_without_a_dsn_need_no_sentry() -> None:
    ended = crash("", first="sys.modules['sentry_sdk'] = None")
    assert json.loads(ended.stdout)["event"] == "process.crashed"
