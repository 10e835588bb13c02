"""One launcher at a time, secrets made once, files that only their owner may read."""

import json
import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from hishab.data_directory import CannotStartError, Running, taken

RUNNING = Running(
    url="http://127.0.0.1:8000", pid=1, database_url="postgresql://", broker_url="redis://", parts={"api": 2}
)


class TestTaken:
    def test_makes_a_directory_that_only_its_owner_may_enter(self, tmp_path: Path) -> None:
        with taken(tmp_path / "deep" / "data") as directory:
            assert directory.path.stat().st_mode & 0o777 == 0o700

    def test_refuses_a_second_launcher_and_names_the_first(self, tmp_path: Path) -> None:
        with (
            taken(tmp_path),
            pytest.raises(CannotStartError, match=rf"process {os.getpid()}.*already runs on {tmp_path}"),
            taken(tmp_path),
        ):
            pass

    def test_is_free_again_afterwards(self, tmp_path: Path) -> None:
        with taken(tmp_path):
            pass
        with taken(tmp_path):
            pass

    def test_refuses_what_is_no_directory(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(CannotStartError, match=r"cannot be the data directory: .*--data-dir"), taken(file):
            pass

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_refuses_a_directory_that_cannot_be_written(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(CannotStartError, match="Permission denied"), taken(tmp_path / "data"):
            pass

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_refuses_a_directory_of_somebody_else(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 65534, -1)
        with pytest.raises(CannotStartError, match="belongs to another user"), taken(tmp_path):
            pass


class TestSecrets:
    def test_are_made_once_and_kept_for_their_owner_alone(self, tmp_path: Path) -> None:
        with taken(tmp_path) as directory:
            made = directory.secrets()
        with taken(tmp_path) as directory:
            assert directory.secrets() == made
        assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600

    def test_have_the_form_that_the_settings_ask_for(self, tmp_path: Path) -> None:
        with taken(tmp_path) as directory:
            made = directory.secrets()
        key_id, _, key = made.token_keys.partition(":")
        assert key_id
        assert len(bytes.fromhex(key)) >= 32
        assert len(bytes.fromhex(made.pin_pepper)) >= 32
        Fernet(made.webhook_secret_keys)

    def test_differ_from_one_directory_to_the_next(self, tmp_path: Path) -> None:
        with taken(tmp_path / "one") as one, taken(tmp_path / "two") as two:
            assert one.secrets() != two.secrets()

    def test_are_not_made_anew_beside_a_database_that_needs_the_old_ones(self, tmp_path: Path) -> None:
        with taken(tmp_path) as directory:
            directory.postgres.mkdir()
            with pytest.raises(CannotStartError, match=r"secrets\.json is missing.*restore it"):
                directory.secrets()

    @pytest.mark.parametrize("content", ["", "{}", "[1]", '{"token_keys": "x"}'])
    def test_are_refused_when_damaged(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "secrets.json").write_text(content)
        with taken(tmp_path) as directory, pytest.raises(CannotStartError, match=r"secrets\.json is damaged"):
            directory.secrets()


class TestAnnounce:
    def test_tells_where_the_system_is_to_its_owner_alone(self, tmp_path: Path) -> None:
        with taken(tmp_path) as directory:
            directory.announce(RUNNING)
            assert json.loads((tmp_path / "running.json").read_text()) == {
                "url": "http://127.0.0.1:8000",
                "pid": 1,
                "database_url": "postgresql://",
                "broker_url": "redis://",
                "parts": {"api": 2},
            }
            assert (tmp_path / "running.json").stat().st_mode & 0o777 == 0o600
            assert directory.announced() == RUNNING

    def test_is_taken_back_at_the_end(self, tmp_path: Path) -> None:
        with taken(tmp_path) as directory:
            directory.announce(RUNNING)
            directory.withdraw()
            directory.withdraw()
            assert directory.announced() is None
        assert not (tmp_path / "running.json").exists()
