"""`hishab demo` shows what it promises, and leaves nothing behind: at its end, when interrupted, or when it fails."""

import json
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hishab import tether
from hishab.demo.payments import NAMES, PAYMENTS
from hishab.postgres_program import BINARIES_VARIABLE
from tests.eventually import eventually
from tests.journeys.command_line import command
from tests.running_system import descendants, is_running

COLUMNS = 80
DEMO_SECONDS_MAX = 280.0
STOP_SECONDS_MAX = 120.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A place for temporary files, nobody else's."""
    with TemporaryDirectory(prefix="hishab-tests-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@contextmanager
def demo(place: Path, *options: str, **environment: str) -> Generator["subprocess.Popen[str]"]:
    """Run the demo in surroundings that name another Hishab, which is none of its business."""
    theirs = {"HISHAB_DATABASE_URL": "postgresql://127.0.0.1:1/theirs", "HISHAB_API_KEY": "sk_theirs"}
    with subprocess.Popen(
        tether.command(command("demo", *options), death_signal=signal.SIGTERM, identity=tether.Identity.OWN),
        env={**os.environ, **theirs, "TMPDIR": str(place), "COLUMNS": str(COLUMNS), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.timeout(DEMO_SECONDS_MAX + 20)
def test_everything_is_as_promised(place: Path) -> None:
    with demo(place, "--json") as process:
        out, story = process.communicate(timeout=DEMO_SECONDS_MAX)
    assert process.returncode == 0, story
    seen = json.loads(out)
    assert seen["holds"] is True
    assert all(finding["holds"] for finding in seen["findings"])
    assert seen["transfers"]["accepted"] == seen["transfers"]["ended"] == PAYMENTS
    assert 0 < seen["transfers"]["refused"] < PAYMENTS
    assert seen["transfers"]["sent_again"] == seen["transfers"]["recognised"] > 0
    assert seen["events"]["owed"] == seen["events"]["verified"] == PAYMENTS + seen["transfers"]["succeeded"]
    assert seen["kill"]["killed_pid"] != seen["kill"]["successor_pid"]
    assert sum(seen["balances"].values()) == len(NAMES) * 500_000
    assert seen["refused_transfer"]["failure"]["code"] == "insufficient_funds"
    assert seen["audit"]["violations"] == []
    # What it says is for eighty columns, and plain where nobody looks at a terminal.
    assert max(map(len, story.splitlines())) <= COLUMNS
    assert "\x1b" not in story
    assert f"kill -9 {seen['kill']['killed_pid']}" in story
    assert "Everything was as promised." in story
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "1. Start"), (signal.SIGTERM, "kill -9")],
)
def test_interrupted_it_leaves_nothing_behind(place: Path, number: signal.Signals, moment: str) -> None:
    with demo(place) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if moment in line:
                break
        # It says the line first, makes its place next, and starts something in it last.
        processes = eventually(lambda: descendants(process.pid))
        assert list(place.iterdir())
        process.send_signal(number)
        rest, complaint = process.communicate(timeout=STOP_SECONDS_MAX)
    assert process.returncode == 128 + number, said + rest + complaint
    assert complaint == "Interrupted. What had been started has been stopped and removed.\n"
    assert not list(place.iterdir())
    assert not [pid for pid in processes if is_running(pid)]


def test_told_twice_it_hurries_and_leaves_nothing_behind_either(place: Path) -> None:
    with demo(place) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "All are up" in line)
        processes = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=STOP_SECONDS_MAX)
    assert process.returncode == 130, complaint
    assert not list(place.iterdir())
    assert not [pid for pid in processes if is_running(pid)]


def test_with_nobody_to_read_on_it_leaves_nothing_behind(place: Path) -> None:
    with demo(place) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "1. Start" in line)
        process.stdout.close()
        _, complaint = process.communicate(timeout=DEMO_SECONDS_MAX)
    assert process.returncode == 3, complaint
    assert complaint.startswith("[Errno 32] Nobody reads what it says")
    assert "Traceback" not in complaint
    assert not list(place.iterdir())


def test_where_it_cannot_start_it_shows_why_and_leaves_nothing_behind(place: Path) -> None:
    with demo(place, **{BINARIES_VARIABLE: "/nowhere"}) as process:
        said, complaint = process.communicate(timeout=STOP_SECONDS_MAX)
    assert process.returncode == 2, said + complaint
    assert "The last words of the system:" in said
    assert "/nowhere" in said
    assert complaint == "Hishab could not be started here. Above is what it said last.\n"
    assert not list(place.iterdir())
