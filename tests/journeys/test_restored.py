"""A backup is brought back as our pages say, and the ledger goes on from it: nothing missing in it, nothing skipped."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from hishab.embedded import PrivatePostgres
from hishab.ports import LOOPBACK, free_ports
from shared.database.connections import WORKER, connect
from shared.database.restored import LEAP, go_on
from tests.access import is_good, log_in_with, make_key, refresh_with, session_of
from tests.callers import Person, audited, connected, ended, log_in, operating, pay, signed_up
from tests.eventually import eventually
from tests.journeys.pages import binaries_of, run_named
from tests.ledger import Ledger
from tests.receiver import Receiver, receiving
from tests.running_system import System, lets_in, running, running_system, tail

OPERATE = "docs/operate.md"
RESTORED = "docs/runbooks/restored.md"
MIGRATED_SECONDS_MAX = 60.0


def test_a_dump_is_gone_on_from(system: System, payer: Person, payee: Person, tmp_path: Path) -> None:
    run_page = _runner(system, tmp_path)
    with receiving() as receiver, signed_up(system) as bystander:
        payer.http.post("/v1/webhook-endpoints", json={"url": receiver.url}).raise_for_status()
        early = ended(payer.http, pay(payer.http, to=payee.wallet_id, amount=100, key="early").json()["id"])
        key, session = make_key(payer.http, "wallets:read"), session_of(system, payer)
        run_page(OPERATE, "dump")

        late = ended(payer.http, pay(payer.http, to=payee.wallet_id, amount=200, key="late").json()["id"])
        lost_events, cursor = _feed(payer.http, after=None)
        assert [event["data"]["id"] for event in lost_events[-2:]] == [early["id"], late["id"]]
        payer.http.delete(f"/v1/api-keys/{key['id']}").raise_for_status()
        with signed_up(system) as newcomer:
            newcomers_email = newcomer.email

        run_page(RESTORED, "from-a-dump", "go-on")
        with _beside(system, database="hishab_restored", directory=tmp_path) as restored:
            assert not is_good(restored, payer.token)
            assert refresh_with(restored, session["refresh_token"]).status_code == 400
            assert log_in_with(restored, email=newcomers_email).status_code == 400
            assert is_good(restored, key["key"]), "the page says that revoked keys are alive again"
            with connected(restored, log_in(restored, payer.email)) as http:
                assert http.get("/v1/users/me/balance").json()["balance"] == 499_900
                assert http.get(f"/v1/transfers/{late['id']}").status_code == 404

                again = pay(http, to=payee.wallet_id, amount=100, key="early")
                assert (again.headers.get("Idempotent-Replayed"), again.json()["id"]) == ("true", early["id"])
                made_good = pay(http, to=payee.wallet_id, amount=200, key="late")
                assert "Idempotent-Replayed" not in made_good.headers
                transfer = ended(http, made_good.json()["id"])
                assert transfer["id"] != late["id"]
                assert http.get("/v1/users/me/balance").json()["balance"] == 499_700

                events, _ = _feed(http, after=cursor)
                assert [event["data"]["id"] for event in events] == [transfer["id"]]
                assert not {event["id"] for event in events} & {event["id"] for event in lost_events}
                eventually(lambda: transfer["id"] in _told(receiver), otherwise=lambda: tail(restored.log))
            with connected(restored, log_in(restored, bystander.email)) as http:
                assert http.get("/v1/users/me/balance").json()["balance"] == 500_000
            with operating(restored) as http:
                report = audited(http)
                assert report["holds"], report


def test_a_moment_is_gone_on_from(postgres: PrivatePostgres) -> None:
    with tempfile.TemporaryDirectory(prefix="hishab-tests-") as directory:
        place = Path(directory)
        place.chmod(0o711)
        archive = place / "archive"
        archive.mkdir()
        # PostgreSQL, which may run as somebody else, writes here.
        archive.chmod(0o777)
        variables = {"BACKUP": str(place / "backup"), "ARCHIVE": str(archive), "PGDATA": str(place / "restored")}
        archiving = {
            **postgres.settings,
            "archive_mode": "on",
            "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f",
        }
        lost = replace(postgres, directory=place / "lost", port=free_ports(LOOPBACK)[0], settings=archiving)
        lost.make_ready()
        with _serving(lost, log=place / "lost.log"):
            variables["HISHAB_DATABASE_URL"] = lost.url
            _run(OPERATE, "make-the-database", "base-backup", binaries=lost.program.binaries, variables=variables)
            ledger = Ledger.on(lost.url)
            with ledger.connection:
                source_id, destination_id = ledger.wallet(holding=10), ledger.wallet()
                kept_id = ledger.accept_one(source_id, destination_id, 1)
                ledger.drain()
                waiting_id = ledger.accept_one(source_id, destination_id, 2)
                variables["MOMENT"] = ledger.value("SELECT clock_timestamp()::text")
                ledger.drain()
                lost_id = ledger.accept_one(source_id, destination_id, 3)
                ledger.drain()
                lost_number = ledger.value("SELECT event_number FROM lanes WHERE lane = 1")
        shutil.copytree(place / "backup", place / "restored")
        _run(RESTORED, "to-a-moment", binaries=lost.program.binaries, variables=variables)
        # Its data are root's so far, if root made them.
        found = replace(postgres, directory=place / "restored", port=free_ports(LOOPBACK)[0])
        found.make_ready()
        with _serving(found, log=place / "restored.log"):
            eventually(lambda: not _is_recovering(found.url), otherwise=lambda: tail(place / "restored.log"))
            ledger = Ledger.on(found.url)
            with ledger.connection:
                go_on(ledger.connection)
                assert ledger.violations() == []
                assert ledger.ending(kept_id) == "succeeded"
                assert ledger.ending(waiting_id) is None
                assert ledger.value("SELECT count(*) FROM transfers WHERE id = %s", lost_id) == 0
                ledger.drain()
                assert ledger.ending(waiting_id) == "succeeded"
                number = ledger.value("SELECT number FROM events WHERE transfer_id = %s", waiting_id)
                assert LEAP < number > lost_number
                new_id = ledger.accept_one(source_id, destination_id, 4)
                assert ledger.value("SELECT position FROM transfers WHERE id = %s", new_id) > LEAP
                ledger.drain()
                assert (ledger.balance(source_id), ledger.balance(destination_id)) == (3, 7)
                assert ledger.violations() == []


def _runner(system: System, directory: Path) -> Any:  # noqa: ANN401 (a function)
    def run_page(page: str, *names: str) -> None:
        variables = {"HISHAB_DATABASE_URL": system.database_url}
        _run(page, *names, binaries=binaries_of(system), variables=variables, directory=directory)

    return run_page


def _run(page: str, *names: str, binaries: Path, variables: dict[str, str], directory: Path | None = None) -> None:
    ran = run_named(page, *names, binaries=binaries, variables=variables, directory=directory or Path.cwd())
    assert ran.returncode == 0, ran.stdout


@contextmanager
def _beside(system: System, *, database: str, directory: Path) -> Generator[System]:
    """Run another system on another database of the same server, with the same secrets."""
    data_dir = directory / "data"
    data_dir.mkdir(mode=0o700)
    for kept in ("secrets.json", "operator.key"):
        shutil.copy(system.data_dir / kept, data_dir / kept)
    url = f"{system.database_url.rpartition('/')[0]}/{database}"
    with running_system(data_dir, "--database-url", url, "--allow-local-webhooks") as restored:
        yield restored


@contextmanager
def _serving(server: PrivatePostgres, *, log: Path) -> Generator[None]:
    with running(server.part, out=log, log=log):
        eventually(lambda: lets_in(server.url), seconds_max=MIGRATED_SECONDS_MAX, otherwise=lambda: tail(log))
        yield


def _is_recovering(url: str) -> bool:
    with connect(url, application_name="test", timeouts=WORKER) as connection:
        (is_recovering,) = connection.execute("SELECT pg_is_in_recovery()").fetchone() or (True,)
    return bool(is_recovering)


def _feed(http: httpx2.Client, *, after: str | None) -> tuple[list[dict[str, Any]], str]:
    """Read a feed to its end, and give the cursor to come back with."""
    events: list[dict[str, Any]] = []
    while True:
        page = http.get("/v1/events", params={"after": after} if after else {}).raise_for_status().json()
        events += page["data"]
        after = page["next_cursor"]
        if not page["has_more"]:
            return events, page["next_cursor"]


def _told(receiver: Receiver) -> set[str]:
    return {request.body.decode().partition('"data":{"id":"')[2][:36] for request in list(receiver.received)}
