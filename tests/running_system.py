"""Run servers and whole systems for tests, so that nothing is left of them afterwards."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import redis

from hishab import tether
from hishab.process import Part
from hishab.supervise import SHORT_LIFE_SECONDS
from shared.queue import WakeUps, apply_in
from tests.eventually import eventually

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0
END_SECONDS_MAX = 60.0
LOG_LINES_SHOWN = 60

# All tests sign up and log in from one address, and one caller may stand for many.
NO_QUOTAS = {"HISHAB_SIGN_INS_PER_MINUTE": "1000000", "HISHAB_REQUESTS_PER_SECOND": "1000000"}

LANE_IS_WORKED = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hishab-lanes'
"""

# Places in /proc/PID/stat behind the name. Source: proc_pid_stat(5).
STATE, PARENT, START_TICKS = 0, 1, 19


class EndedBadlyError(AssertionError):
    """A `hishab up` ended with anything but 0; says so, and its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A `hishab up` that serves.

    Attributes:
        log: What it and its parts say.
        pid: Of the launcher.
    """

    url: str
    operator_key: str = field(repr=False)
    data_dir: Path
    log: Path
    pid: int

    @property
    def database_url(self) -> str:
        return self._running["database_url"]

    @property
    def broker_url(self) -> str:
        return self._running["broker_url"]

    @property
    def parts(self) -> Mapping[str, int]:
        """The process id of each part by name: api, lanes, webhooks, upkeep, postgres, broker."""
        return self._running["parts"]

    def kill(self, part: str, *, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill a part that has lived for a while, as a short life may end the whole; give the process id it had."""
        pid = self.await_age(part)
        os.kill(pid, number)
        return pid

    def await_age(self, part: str) -> int:
        """Wait until a part has lived for a while; give its process id."""
        pid = self.parts[part]
        eventually(lambda: _age_seconds(pid) > SHORT_LIFE_SECONDS)
        return pid

    def await_restart(self, part: str, *, of: int) -> int:
        """Wait until another process has taken the place of the one that had the id `of`; give its id."""
        eventually(lambda: self.parts[part] != of, otherwise=lambda: f"{part} was not restarted\n{tail(self.log)}")
        return self.parts[part]

    def has_ended(self) -> bool:
        """Say whether the launcher is gone."""
        return not is_running(self.pid)

    @property
    def _running(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "running.json").read_bytes())


@contextmanager
def running_system(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None, within: Sequence[str] = ()
) -> Generator[System]:
    """Run `hishab up` on a free port until it serves and applies; once the block is left, see that it stopped cleanly.

    Args:
        environment: Added to ours, whose own settings of Hishab do not reach it.
        within: Words that start a program in surroundings of their making.

    Raises:
        EndedBadlyError: It has not.
    """
    out, log = data_dir.with_suffix(".out"), data_dir.with_suffix(".log")
    out.unlink(missing_ok=True)
    part = launcher(data_dir, *options, environment=environment, within=within)
    with running(part, out=out, log=log) as process:
        await_serving(process, out=out, log=log)
        system = System(
            url=json.loads(out.read_bytes())["url"],
            operator_key=(data_dir / "operator.key").read_text().strip(),
            data_dir=data_dir,
            log=log,
            pid=process.pid,
        )
        _await_lanes(system)
        yield system
    if process.returncode != 0:
        raise EndedBadlyError(f"it ended with exit code {process.returncode}\n{tail(log)}")


def run_to_its_end(part: Part) -> "subprocess.CompletedProcess[str]":
    """Run a program that ends by itself; give its exit code and what it said."""
    command = tether.command(part.command, death_signal=part.stop_signal, identity=part.identity)
    return subprocess.run(
        command, env=part.environment, capture_output=True, text=True, timeout=END_SECONDS_MAX, check=False
    )


def await_serving(process: "subprocess.Popen[bytes]", *, out: Path, log: Path) -> None:
    """Wait until a launcher says on `out` that it serves."""
    eventually(
        lambda: out.read_bytes().endswith(b"\n") or process.poll() is not None,
        seconds_max=START_SECONDS_MAX,
        otherwise=lambda: f"it does not serve\n{tail(log)}",
    )
    assert process.poll() is None, f"it ended with exit code {process.returncode}\n{tail(log)}"


def _await_lanes(system: System) -> None:
    """Wait until a lane is worked: its worker starts more slowly than the edge, and a sign-up waits five seconds."""
    wake_ups = WakeUps(system.broker_url)

    def is_worked() -> bool:
        wake_ups.send(apply_in(1))
        return connection.execute(LANE_IS_WORKED).fetchone() is not None

    with psycopg.connect(system.database_url, autocommit=True) as connection:
        eventually(is_worked, seconds_max=START_SECONDS_MAX, otherwise=lambda: f"nothing applies\n{tail(system.log)}")
    wake_ups.stop()


def launcher(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None, within: Sequence[str] = ()
) -> Part:
    """Describe a `hishab up` on a free port that answers in JSON; the arguments are those of `running_system`."""
    up = [sys.executable, "-m", "hishab", "up", "--port", "0", "--json", "--data-dir", str(data_dir)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")}
    return Part(
        name="hishab",
        command=[*within, *up, *options],
        environment={**ours, **NO_QUOTAS, **(environment or {})},
        stop_seconds_max=STOP_SECONDS_MAX,
    )


@contextmanager
def running(part: Part, *, out: Path, log: Path) -> Generator["subprocess.Popen[bytes]"]:
    """Run a program, tied to this process, until the block is left."""
    command = tether.command(part.command, death_signal=part.stop_signal, identity=part.identity)
    with (
        out.open("ab") as out_file,
        log.open("ab") as log_file,
        subprocess.Popen(
            command,
            env=part.environment,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=log_file,
            # Ctrl-C is for pytest, which then ends this in good order.
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(part.stop_signal)
            try:
                process.wait(part.stop_seconds_max)
            except subprocess.TimeoutExpired:
                process.kill()


class BrokerClient(Protocol):
    """What tests ask of a broker."""

    def ping(self) -> bool: ...
    def flushall(self) -> bool: ...
    def config_get(self, *names: str) -> Mapping[str, str]: ...


def lets_in(database_url: str) -> bool:
    """Say whether PostgreSQL serves by now."""
    try:
        psycopg.connect(database_url).close()
    except psycopg.OperationalError:
        return False
    return True


def answers(broker_url: str) -> bool:
    """Say whether the broker serves by now."""
    try:
        return bool(broker_client(broker_url).ping())
    except redis.ConnectionError:
        return False


def broker_client(url: str) -> BrokerClient:
    """Make a client of the broker."""
    client: Any = redis.Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType] - untyped
    return client


def descendants(pid: int) -> set[int]:
    """Find the processes that a process started, that these started, and so on."""
    children: dict[int, set[int]] = {}
    for child in (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()):
        if (status := _status(child)) is not None:
            children.setdefault(int(status[PARENT]), set()).add(child)
    found: set[int] = set()
    while found != (more := found | {child for parent in {pid, *found} for child in children.get(parent, ())}):
        found = more
    return found


def is_running(pid: int) -> bool:
    """Tell whether a process works; a zombie does not."""
    status = _status(pid)
    return status is not None and status[STATE] != "Z"


def tail(log: Path) -> str:
    """Give the end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def _age_seconds(pid: int) -> float:
    status = _status(pid)
    assert status is not None, f"process {pid} does not run"
    up_seconds = float(Path("/proc/uptime").read_text().split()[0])
    return up_seconds - int(status[START_TICKS]) / os.sysconf("SC_CLK_TCK")


def _status(pid: int) -> list[str] | None:
    try:
        # The name, in parentheses, may contain anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
