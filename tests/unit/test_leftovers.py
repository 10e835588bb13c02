"""What a killed launcher left behind is stopped, and nothing else is."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hishab.data_directory import DataDirectory, Running
from hishab.leftovers import stop_leftovers
from hishab.part_log import PartLog

WAIT = "import signal; print(flush=True); signal.pause()"
WAIT_DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAIT}"
MARKS = {"api": "api.main", "postgres": "the data directory"}


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


@contextmanager
def left_over(program: str, *, mark: str) -> Generator["subprocess.Popen[bytes]"]:
    """Run a process whose command line ends in `mark`."""
    with subprocess.Popen([sys.executable, "-c", program, mark], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def announce(directory: DataDirectory, **parts: int) -> None:
    directory.announce(Running(url="", pid=1, database_url="", broker_url="", parts=parts))


def stop(directory: DataDirectory, *, seconds_max: float = 20.0) -> str:
    """Stop what is left over; give what was said about it."""
    said = io.StringIO()
    log = PartLog(said, names=[], coloured=False)
    asyncio.run(stop_leftovers(directory, marks=MARKS, log=log, seconds_max=seconds_max))
    return said.getvalue()


def test_nothing_is_left_of_a_clean_stop(directory: DataDirectory) -> None:
    assert not stop(directory)


def test_a_part_that_still_runs_is_stopped(directory: DataDirectory) -> None:
    with left_over(WAIT, mark="api.main") as process:
        announce(directory, api=process.pid)
        assert f"api (process {process.pid}) is left over" in stop(directory)
        assert process.wait() != 0


def test_one_that_does_not_hear_is_killed(directory: DataDirectory) -> None:
    with left_over(WAIT_DEAF, mark="api.main") as process:
        announce(directory, api=process.pid)
        stop(directory, seconds_max=0.5)
        assert process.wait() != 0


def test_a_stranger_that_has_the_process_id_by_now_is_left_alone(directory: DataDirectory) -> None:
    with left_over(WAIT, mark="somebody else") as process:
        announce(directory, api=process.pid)
        assert not stop(directory)
        assert process.poll() is None


def test_postgresql_is_found_by_its_own_record(directory: DataDirectory) -> None:
    directory.postgres.mkdir()
    with left_over(WAIT, mark="the data directory") as process:
        (directory.postgres / "postmaster.pid").write_text(f"{process.pid}\n{directory.postgres}\n")
        stop(directory)
        assert process.wait() != 0


def test_postgresql_does_not_take_a_stranger_for_itself(directory: DataDirectory) -> None:
    directory.postgres.mkdir()
    record = directory.postgres / "postmaster.pid"
    with left_over(WAIT, mark="somebody else") as process:
        record.write_text(f"{process.pid}\n{directory.postgres}\n")
        assert not stop(directory)
        assert process.poll() is None
    assert not record.exists()
