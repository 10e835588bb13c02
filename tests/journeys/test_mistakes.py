"""The likeliest mistakes each bring one plain sentence and what to do, and an exit code that is not 0."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from pwd import getpwnam
from socket import create_server
from tempfile import TemporaryDirectory

import psycopg
import pytest

from hishab.ports import free_ports
from shared.database.health import REVISION
from tests.journeys.command_line import at, hishab
from tests.running_system import System, launcher, run_to_its_end

A_PAYMENT = "source,destination,amount,currency,reference\na,b,1.00,CZK,one\n"

# What is imported may lie where nobody cannot reach.
AS_NOBODY = "import os, pwd; from hishab.main import app; os.setuid(pwd.getpwnam('nobody').pw_uid); app()"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's own directory, which root would hide from the user nobody.
    with TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "data"


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    file = tmp_path / "payments.csv"
    file.write_text(A_PAYMENT)
    return file


def elsewhere(system: System) -> tuple[str, str]:
    return "--url", system.url


class TestWithoutASystem:
    @pytest.mark.parametrize("command", [["audit"], ["listen"], ["webhooks", "list"]])
    def test_it_is_said_how_to_start_one(self, data_dir: Path, command: list[str]) -> None:
        ended = hishab(*command, "--data-dir", data_dir)
        assert ended.exit_code == 3
        assert ended.err == (f"Hishab is not running on {data_dir}. Start it with: hishab up --data-dir {data_dir}\n")

    def test_an_address_where_nothing_listens_is_named(self) -> None:
        (port,) = free_ports("127.0.0.1")
        url = f"http://127.0.0.1:{port}"
        ended = hishab("audit", "--url", url, HISHAB_API_KEY="sk_any")
        assert ended.exit_code == 3
        assert ended.err.startswith(f"{url} does not answer: ")


class TestOfTheCaller:
    def test_a_wrong_key(self, system: System) -> None:
        ended = hishab("audit", *elsewhere(system), HISHAB_API_KEY="sk_wrong")
        assert ended.exit_code == 3
        assert "401" in ended.err
        assert ended.err.endswith("Ask whoever runs this Hishab for an API key that may do this.\n")

    @pytest.mark.parametrize("command", ["submit", "wallets"])
    def test_a_file_that_is_not_there(self, system: System, tmp_path: Path, command: str) -> None:
        file = tmp_path / "nothing.csv"
        ended = hishab(command, file, *at(system)[:2])
        assert (ended.exit_code, ended.err) == (
            2,
            f"{file} cannot be read (No such file or directory): name a CSV file that can. Nothing was sent.\n",
        )

    @pytest.mark.parametrize("command", ["submit", "wallets"])
    def test_a_file_that_is_something_else(self, system: System, tmp_path: Path, command: str) -> None:
        file = tmp_path / "picture.csv"
        file.write_bytes(bytes(range(256)))
        ended = hishab(command, file, *at(system)[:2])
        assert ended.exit_code == 2
        assert "1 thing to mend, nothing was sent" in ended.err

    def test_a_place_where_the_results_cannot_be_written(self, system: System, payments: Path) -> None:
        results = payments.with_name("payments.results.csv")
        results.mkdir()
        payments.write_text(A_PAYMENT.splitlines()[0] + "\n")
        ended = hishab("submit", payments, *at(system)[:2])
        assert ended.exit_code == 3
        assert ended.err.startswith(f"{results}: Is a directory.\n")


class TestOfTheStart:
    """A port that is taken and a data directory in use: tests/integration/test_launcher.py."""

    @pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, who may not write")
    def test_a_directory_that_cannot_be_written_to(self, data_dir: Path) -> None:
        data_dir.mkdir(mode=0o755)
        os.chown(data_dir, getpwnam("nobody").pw_uid, -1)
        data_dir.chmod(0o555)
        ended = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, "up", "--data-dir", str(data_dir)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (
            2,
            f"{data_dir} cannot be the data directory: it cannot be written to. Choose another with --data-dir.\n",
        )

    @pytest.mark.parametrize(
        ("option", "form", "url"),
        [
            ("--database-url", "postgresql://user:password@host:port/name", "mysql://127.0.0.1/x"),
            ("--database-url", "postgresql://user:password@host:port/name", "postgresql://127.0.0.1:port/x"),
            ("--broker-url", "redis://:password@host:port/0", "amqp://127.0.0.1"),
        ],
    )
    def test_a_url_of_another_kind(self, data_dir: Path, option: str, form: str, url: str) -> None:
        ended = run_to_its_end(launcher(data_dir, option, url))
        assert (ended.returncode, ended.stderr) == (
            2,
            f"{option} is not an address of that kind: it is written {form}.\n",
        )

    @pytest.mark.parametrize(("option", "scheme"), [("--database-url", "postgresql"), ("--broker-url", "redis")])
    def test_a_server_that_does_not_answer(self, data_dir: Path, option: str, scheme: str) -> None:
        (port,) = free_ports("127.0.0.1")
        ended = run_to_its_end(launcher(data_dir, option, f"{scheme}://me:secret@127.0.0.1:{port}/0"))
        assert (ended.returncode, ended.stderr) == (
            2,
            f"Nothing answers at 127.0.0.1, port {port} (Connection refused): start what {option} names, or mend it.\n",
        )

    def test_a_database_that_is_not_there(self, data_dir: Path, database_url: str, broker_url: str) -> None:
        wrong = f"{database_url}_not_there"
        ended = run_to_its_end(launcher(data_dir, "--database-url", wrong, "--broker-url", broker_url))
        assert ended.returncode == 1
        assert "does not exist. Mend HISHAB_DATABASE_URL." in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_data_with_a_newer_schema(self, data_dir: Path, database_url: str, broker_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        ended = run_to_its_end(launcher(data_dir, "--database-url", database_url, "--broker-url", broker_url))
        assert ended.returncode == 1
        assert (
            f"migrate   | The database has schema 9999, and this version of Hishab knows those up to {REVISION}: "
            "run the newer version that made it, or restore a backup from before.\n"
        ) in ended.stderr
        assert "Traceback" not in ended.stderr
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_port_to_listen_on_that_is_taken(system: System) -> None:
    with closing(create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        ended = hishab("listen", "--port", str(port), "--data-dir", system.data_dir)
    assert ended.exit_code == 3
    assert "Address already in use" in ended.err


def test_versions_of_what_runs_are_named(system: System) -> None:
    shown = hishab("version", *at(system)).document
    assert shown["schema"] == shown["schema_of_program"] == REVISION
    assert int(shown["postgresql"].split(".")[0]) >= 15
