"""The private servers let in whom they should, and begin anew where they were interrupted."""

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from hishab.data_directory import CannotStartError
from hishab.embedded import BROKER_BINARY_VARIABLE, PrivatePostgres, find_broker
from hishab.postgres_program import BINARIES_VARIABLE, find_postgres
from tests.running_system import broker_client


class TestPostgres:
    def test_takes_its_password_and_no_other(self, postgres: PrivatePostgres) -> None:
        psycopg.connect(postgres.url).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(replace(postgres, password="wrong").url)

    def test_knows_the_same_letters_on_every_machine(self, postgres: PrivatePostgres) -> None:
        asked = "SELECT upper('é'), datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute(asked).fetchone() == ("É", "b", "C.UTF-8")

    def test_listens_on_loopback_alone(self, postgres: PrivatePostgres) -> None:
        asked = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute(asked).fetchone() == ("127.0.0.1", "")

    @pytest.mark.parametrize(("machine_mb", "shared"), [(2_048, "512MB"), (65_536, "1024MB")])
    def test_keeps_a_quarter_of_the_memory_and_no_more_than_it_needs(
        self, postgres: PrivatePostgres, monkeypatch: pytest.MonkeyPatch, machine_mb: int, shared: str
    ) -> None:
        sizes = {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": machine_mb * 256}
        monkeypatch.setattr("os.sysconf", sizes.__getitem__)
        assert f"shared_buffers={shared}" in postgres.part.command

    def test_begins_anew_where_the_making_of_its_data_was_killed(self, postgres: PrivatePostgres) -> None:
        with TemporaryDirectory(prefix="hishab-tests-") as place:
            Path(place).chmod(0o711)
            half_made = Path(place) / "postgres.new"
            half_made.mkdir()
            (half_made / "PG_VERSION").touch()
            server = replace(postgres, directory=Path(place) / "postgres")
            server.make_ready()
            assert (server.directory / "PG_VERSION").read_text().strip() == str(server.program.version)
            assert [path.name for path in Path(place).iterdir()] == ["postgres"]

    def test_says_what_is_wrong_with_a_program_that_was_named(self, tmp_path: Path) -> None:
        with pytest.raises(CannotStartError, match=f"The PostgreSQL in {tmp_path} does not run here"):
            find_postgres(tmp_path, environment={BINARIES_VARIABLE: str(tmp_path)})


class TestBroker:
    def test_takes_its_password_and_no_other(self, broker_url: str) -> None:
        assert broker_client(broker_url).ping()
        with pytest.raises(redis.AuthenticationError):
            broker_client(re.sub(":[^:@]+@", ":wrong@", broker_url)).ping()

    def test_never_forgets_to_make_room_and_keeps_what_it_has(self, broker_url: str) -> None:
        settings = broker_client(broker_url).config_get("maxmemory-policy", "appendonly")
        assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes"}

    def test_may_be_a_program_that_was_named(self) -> None:
        assert find_broker(environment={BROKER_BINARY_VARIABLE: "/somewhere/valkey"}) == Path("/somewhere/valkey")
