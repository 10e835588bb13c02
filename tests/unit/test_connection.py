"""Hold hishab.connection to finding what runs, and to saying what to do where nothing does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hishab.connection import NotRunningError, find
from hishab.data_directory import DataDirectory, Running


def announce(data_dir: Path, *, pid: int) -> None:
    (data_dir / "operator.key").write_text("sk_operator\n")
    running = Running(url="http://127.0.0.1:8111", pid=pid, database_url="", broker_url="", parts={})
    DataDirectory(data_dir).announce(running)


class TestFind:
    def test_reads_where_the_system_of_a_data_directory_is(self, tmp_path: Path) -> None:
        announce(tmp_path, pid=os.getpid())
        found = find(data_dir=tmp_path, url=None, api_key="sk_of_another")
        assert (found.url, found.api_key) == ("http://127.0.0.1:8111", "sk_operator")
        assert "sk_operator" not in repr(found)

    def test_does_not_believe_a_system_that_was_killed(self, tmp_path: Path) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            pass
        announce(tmp_path, pid=process.pid)
        with pytest.raises(NotRunningError, match=r"is not running on .* hishab up --data-dir"):
            find(data_dir=tmp_path, url=None, api_key=None)

    def test_names_the_short_command_for_the_usual_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(NotRunningError, match=r"on \.hishab\. Start it with: hishab up$"):
            find(data_dir=Path(".hishab"), url=None, api_key=None)

    def test_says_that_the_key_cannot_be_read(self, tmp_path: Path) -> None:
        announce(tmp_path, pid=os.getpid())
        (tmp_path / "operator.key").unlink()
        with pytest.raises(NotRunningError, match=r"operator\.key cannot be read"):
            find(data_dir=tmp_path, url=None, api_key=None)

    def test_takes_a_url_with_a_key(self, tmp_path: Path) -> None:
        found = find(data_dir=tmp_path, url="https://hishab.example/", api_key=" sk_mine\n")
        assert (found.url, found.api_key) == ("https://hishab.example", "sk_mine")

    @pytest.mark.parametrize(("url", "api_key"), [("localhost:8000", "sk_x"), ("http://x", None), ("http://x", " ")])
    def test_refuses_half_an_address(self, tmp_path: Path, url: str, api_key: str | None) -> None:
        with pytest.raises(NotRunningError, match=r"--url"):
            find(data_dir=tmp_path, url=url, api_key=api_key)
