"""`hishab up` starts the whole, keeps it running, and leaves nothing behind."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import psycopg
import pytest

from tests.eventually import eventually
from tests.running_system import (
    STOP_SECONDS_MAX,
    System,
    await_serving,
    descendants,
    is_running,
    launcher,
    run_to_its_end,
    running,
    running_system,
    tail,
)

ANSWER_SECONDS_MAX = 30.0
READY_SECONDS_MAX = 60.0

PARTS = ("api", "lanes", "webhooks", "upkeep", "broker", "postgres")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's own directory, which root would hide from the user nobody, as whom PostgreSQL may have to run.
    with TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "data"


def is_ready(system: System) -> bool:
    """Ask PostgreSQL itself too, and through the API: /readyz says for half a second what it has seen last."""
    headers = {"Authorization": f"Bearer {system.operator_key}"}
    try:
        psycopg.connect(system.database_url, connect_timeout=5).close()
        asked = [httpx2.get(f"{system.url}{path}", headers=headers, timeout=5) for path in ("/v1/wallets", "/readyz")]
    except (httpx2.HTTPError, psycopg.OperationalError):
        return False
    return all(answer.status_code == HTTPStatus.OK for answer in asked)


def await_ready(system: System) -> None:
    """Wait until it is: also what others that ran before have killed comes back."""
    eventually(lambda: is_ready(system), seconds_max=READY_SECONDS_MAX, otherwise=lambda: tail(system.log))


def command_line(pid: int) -> str:
    """Read how a process was started; nothing if it has ended meanwhile, as PostgreSQL's do all the time."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def said_when_ready(data_dir: Path) -> dict[str, str | None]:
    return json.loads(data_dir.with_suffix(".out").read_bytes())


class TestRunning:
    def test_serves_with_all_its_parts(self, system: System) -> None:
        await_ready(system)
        assert set(system.parts) == set(PARTS)
        eventually(lambda: all(is_running(pid) for pid in system.parts.values()))

    def test_its_key_opens_the_door(self, system: System) -> None:
        await_ready(system)
        headers = {"Authorization": f"Bearer {system.operator_key}"}
        answer = httpx2.get(f"{system.url}/v1/wallets", headers=headers, timeout=ANSWER_SECONDS_MAX)
        assert answer.status_code == HTTPStatus.OK

    def test_hides_its_secrets_from_others(self, system: System) -> None:
        private = ("secrets.json", "operator.key", "running.json", "lock")
        assert {name: (system.data_dir / name).stat().st_mode & 0o077 for name in private} == dict.fromkeys(private, 0)
        secrets = json.loads((system.data_dir / "secrets.json").read_text()).values()
        command_lines = [line for line in map(command_line, descendants(system.pid)) if line]
        assert len(command_lines) > len(PARTS)
        assert not [secret for secret in (*secrets, system.operator_key) for line in command_lines if secret in line]
        assert system.operator_key not in system.log.read_text()

    def test_prefixes_what_its_parts_say(self, system: System) -> None:
        # As far as it is written to the end of a line, and as lines are told apart there.
        *lines, _ = system.log.read_text().split("\n")
        assert not [line for line in lines if line[9:12] != " | "]

    def test_refuses_a_second_start_on_its_data(self, system: System) -> None:
        ended = run_to_its_end(launcher(system.data_dir))
        assert ended.returncode == 2
        assert f"Another hishab up (process {system.pid}) already runs on {system.data_dir}" in ended.stderr
        assert "Traceback" not in ended.stderr
        await_ready(system)

    def test_refuses_a_port_that_is_taken(self, system: System, data_dir: Path) -> None:
        port = system.url.rpartition(":")[2]
        ended = run_to_its_end(launcher(data_dir, "--port", port))
        assert ended.returncode == 2
        assert ended.stderr == f"Port {port} on 127.0.0.1 is taken. Choose another with --port, or 0 for any.\n"

    @pytest.mark.parametrize("part", PARTS)
    def test_restarts_a_part_that_was_killed(self, system: System, part: str) -> None:
        others = {name: pid for name, pid in system.parts.items() if name != part}
        urls = (system.database_url, system.broker_url)
        killed = system.kill(part)
        assert is_running(system.await_restart(part, of=killed))
        await_ready(system)
        # The others wait, they do not exit; and they wait at the right place.
        assert {name: pid for name, pid in system.parts.items() if name != part} == others
        assert (system.database_url, system.broker_url) == urls
        assert f"hishab    | {part} was killed by SIGKILL; it starts again" in system.log.read_text()

    def test_restarts_postgresql_although_a_session_of_the_old_one_is_busy(self, system: System) -> None:
        await_ready(system)
        with closing(psycopg.connect(system.database_url, autocommit=True)) as connection:
            # Busy without a pause, in which it would notice that its server has gone.
            connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000) WHERE random() < 0")
            killed = system.kill("postgres")
            system.await_restart("postgres", of=killed)
            await_ready(system)
            assert not is_running(connection.info.backend_pid)


class TestStopping:
    def test_keeps_its_data_and_tells_its_key_once(self, data_dir: Path) -> None:
        wallet = {"currency": "CZK", "external_id": "kept"}
        with running_system(data_dir) as system:
            assert said_when_ready(data_dir)["operator_key"] == system.operator_key
            headers = {"Authorization": f"Bearer {system.operator_key}"}
            made = httpx2.post(f"{system.url}/v1/wallets", headers=headers, json=wallet, timeout=ANSWER_SECONDS_MAX)
            assert made.status_code == HTTPStatus.CREATED, made.text
        assert not (data_dir / "running.json").exists()

        with running_system(data_dir) as system:
            assert said_when_ready(data_dir)["operator_key"] is None
            kept = f"{system.url}/v1/wallets?external_id=kept"
            found = httpx2.get(kept, headers=headers, timeout=ANSWER_SECONDS_MAX)
            assert [wallet["id"] for wallet in found.json()["data"]] == [made.json()["id"]]

    def test_stops_in_good_order_at_ctrl_c_and_leaves_no_process(self, data_dir: Path) -> None:
        with running_system(data_dir) as system:
            processes = descendants(system.pid)
            assert set(system.parts.values()) <= processes
            os.kill(system.pid, signal.SIGINT)
            eventually(system.has_ended, seconds_max=STOP_SECONDS_MAX, otherwise=lambda: tail(system.log))
            assert not {pid for pid in processes if is_running(pid)}
        names = [line.split()[0] for line in system.log.read_text().splitlines()]
        after = names[names.index("hishab") + 1 :]
        # Neither the broker nor PostgreSQL says anything on its way out before those who need it are done.
        assert after.index("broker") > max(place for place, name in enumerate(after) if name in PARTS[:4])
        assert after.index("postgres") > max(place for place, name in enumerate(after) if name == "broker")

    def test_told_again_ends_at_once(self, data_dir: Path) -> None:
        with running_system(data_dir) as system:
            processes = descendants(system.pid)
            # Stopped one after the other, each would be given ten seconds.
            for part in ("api", "broker"):
                os.kill(system.parts[part], signal.SIGSTOP)
            # As when its terminal is closed.
            os.kill(system.pid, signal.SIGHUP)
            eventually(lambda: "Stopping." in system.log.read_text())
            os.kill(system.pid, signal.SIGINT)
            eventually(system.has_ended, seconds_max=15, otherwise=lambda: tail(system.log))
            assert not {pid for pid in processes if is_running(pid)}

    def test_killed_leaves_no_process_either_and_starts_again(self, data_dir: Path) -> None:
        out, log = data_dir.with_suffix(".out"), data_dir.with_suffix(".log")
        with running(launcher(data_dir), out=out, log=log) as process:
            await_serving(process, out=out, log=log)
            processes = descendants(process.pid)
            process.kill()
        # At once, while what was left behind may still be stopping.
        with running_system(data_dir) as system:
            await_ready(system)
            assert not {pid for pid in processes if is_running(pid)}


class TestElsewhere:
    def test_uses_the_servers_that_it_is_given(self, data_dir: Path, database_url: str, broker_url: str) -> None:
        servers = ("--database-url", database_url, "--broker-url", broker_url)
        # The PostgreSQL of tests forgets on purpose.
        with running_system(data_dir, *servers, environment={"HISHAB_ALLOW_FSYNC_OFF": "true"}) as system:
            await_ready(system)
            assert (system.database_url, system.broker_url) == (database_url, broker_url)
            assert set(system.parts) == {"api", "lanes", "webhooks", "upkeep"}
            assert not (data_dir / "postgres").exists()
            assert not (data_dir / "broker").exists()


class TestFailing:
    def test_a_part_that_cannot_live_ends_the_whole_with_its_last_words(self, data_dir: Path, tmp_path: Path) -> None:
        # Found before the real one.
        (tmp_path / "worker").mkdir()
        (tmp_path / "worker" / "__init__.py").touch()
        (tmp_path / "worker" / "main.py").write_text("raise SystemExit('no lanes here')")
        ended = run_to_its_end(launcher(data_dir, environment={"PYTHONPATH": str(tmp_path)}))
        assert ended.returncode == 1
        end = ended.stderr[ended.stderr.index("hishab    | Ended, because") :]
        assert re.search(r"because (lanes|webhooks|upkeep) ended with exit code 1, the 3rd time in a row", end)
        assert "| no lanes here" in end
        assert "Traceback" not in ended.stderr
        assert not (data_dir / "running.json").exists()

    def test_a_schema_that_cannot_be_made_ends_the_whole(self, data_dir: Path) -> None:
        ended = run_to_its_end(launcher(data_dir, environment={"HISHAB_LANE_COUNT": "none"}))
        assert ended.returncode == 1
        assert "hishab    | Ended, because migrate ended with exit code 1. Its last words:" in ended.stderr

    def test_a_directory_that_cannot_be_made_is_named(self) -> None:
        ended = run_to_its_end(launcher(Path("/dev/null/data")))
        assert ended.returncode == 2
        assert (
            ended.stderr
            == "/dev/null/data cannot be the data directory: Not a directory. Choose another with --data-dir.\n"
        )

    def test_an_address_of_another_machine_is_named(self, data_dir: Path) -> None:
        ended = run_to_its_end(launcher(data_dir, "--host", "192.0.2.1", "--port", "8000"))
        assert ended.returncode == 2
        assert ended.stderr == "Cannot listen on 192.0.2.1, port 8000: Cannot assign requested address.\n"
