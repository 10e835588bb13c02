"""Run a Hishab whose parts can be started and stopped one by one, each exactly as `hishab up` starts it."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import redis

from hishab.data_directory import DataDirectory
from hishab.launch_plan import LaunchPlan, Wishes, launch_plan
from hishab.ports import LOOPBACK, free_ports
from hishab.process import Part
from shared.queue import KEY_PREFIX, LANES_QUEUE, WakeUps, apply_in
from tests.eventually import eventually
from tests.load.generator import Server
from tests.load.servers import Servers
from tests.running_system import descendants, run_to_its_end, running, tail

BACKGROUND = ("lanes", "webhooks", "upkeep")
EVERYTHING = ("api", *BACKGROUND)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
USER_TICKS, SYSTEM_TICKS = 11, 12
"""Places in /proc/PID/stat behind the name. Source: proc_pid_stat(5)."""


@dataclass(slots=True, kw_only=True)
class System:
    """A Hishab on a database of its own, on the servers of the run."""

    plan: LaunchPlan
    directory: DataDirectory
    lives: dict[str, ExitStack] = field(default_factory=dict[str, ExitStack])
    pids: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def operator_key(self) -> str:
        """The first operator's API key."""
        return self.directory.operator_key.read_text().strip()

    @property
    def server(self) -> Server:
        """The API, to be spoken to as an operator."""
        return Server(url=self.plan.url, credentials=self.operator_key)

    @property
    def database_url(self) -> str:
        """Where its database is."""
        return self.plan.database_url

    def start(self, *names: str) -> None:
        """Start those parts that do not run yet, and wait until they work."""
        new = [name for name in names if name not in self.lives]
        for name in new:
            self.pids[name] = _start(self.plan.part(name), life=self.lives.setdefault(name, ExitStack()), log=self.log)
        if "api" in new:
            eventually(lambda: _answers(self.plan.url), seconds_max=60, otherwise=lambda: tail(self.log))
        if "lanes" in new:
            self._await_lane_worker()

    def stop(self, *names: str) -> None:
        """Stop those parts that run."""
        for name in names or tuple(self.lives):
            if life := self.lives.pop(name, None):
                life.close()
                del self.pids[name]

    def wake(self, lane: int) -> None:
        """Wake a lane, as the API does after a commit."""
        wake_ups = WakeUps(self.plan.broker_url)
        wake_ups.send(apply_in(lane))
        wake_ups.stop()

    def processes(self, part: str) -> set[int]:
        """Name the processes of a part."""
        return {self.pids[part], *descendants(self.pids[part])}

    @property
    def log(self) -> Path:
        """What the parts say."""
        return self.directory.path / "parts.log"

    def _await_lane_worker(self) -> None:
        """Wait until somebody has taken a wake-up out of the broker, and works no more."""
        broker = message_counter(self.plan.broker_url)
        self.wake(1)
        waiting = (f"{KEY_PREFIX}{LANES_QUEUE}", f"{KEY_PREFIX}unacked")
        eventually(lambda: not broker.exists(*waiting), seconds_max=60, otherwise=lambda: tail(self.log))


def message_counter(broker_url: str) -> Any:  # noqa: ANN401 (redis has no types)
    """Connect to the broker, to look how many messages wait."""
    return redis.Redis.from_url(broker_url)  # pyright: ignore[reportUnknownMemberType] (its arguments have no types)


@contextmanager
def planned(
    servers: Servers, *, name: str, database_url: str, settings: Mapping[str, str] | None = None
) -> Generator[System]:
    """Plan a Hishab; whatever was started is stopped when the block is left.

    Args:
        name: Of its directory; the same one has the same secrets and the same operator's key.
        settings: By their environment variables.
    """
    place = servers.place / name
    place.mkdir(exist_ok=True)
    directory = DataDirectory(place)
    wishes = Wishes(
        data_dir=place,
        host=LOOPBACK,
        port=0,
        database_url=database_url,
        broker_url=servers.broker.url,
        allow_local_webhooks=True,
        as_json=True,
    )
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HISHAB_")}
    system = System(
        plan=launch_plan(wishes, directory=directory, environment={**ours, **(settings or {})}), directory=directory
    )
    try:
        yield system
    finally:
        system.stop()


def make_ready(system: System) -> None:
    """Make the tables and the operator's key."""
    key_file = str(system.directory.operator_key)
    for part in (system.plan.part("migrate"), system.plan.part("bootstrap", "--key-file", key_file)):
        done = run_to_its_end(part)
        assert done.returncode == 0, done.stderr


@contextmanager
def serving_edge(
    edge: str, *, environment: Mapping[str, str], log: Path, credentials: str | None = None
) -> Generator[Server]:
    """Run one of `edges.py` until the block is left."""
    (port,) = free_ports(LOOPBACK)
    words = [sys.executable, "-m", "tests.load.edges", edge, "--port", str(port)]
    url = f"http://{LOOPBACK}:{port}"
    with ExitStack() as life:
        _start(Part(name=edge, command=words, environment=environment), life=life, log=log)
        eventually(lambda: _answers(url), seconds_max=60, otherwise=lambda: tail(log))
        yield Server(url=url, credentials=credentials)


def cpu_seconds(pids: set[int]) -> float:
    """Say how much processor time these processes have used."""
    ticks = 0
    for pid in pids:
        figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(figures[USER_TICKS]) + int(figures[SYSTEM_TICKS])
    return ticks / TICKS_PER_SECOND


def memory_mb(pid: int) -> float:
    """Say how much memory a process holds (its resident set)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _start(part: Part, *, life: ExitStack, log: Path) -> int:
    return life.enter_context(running(part, out=log, log=log)).pid


def _answers(url: str) -> bool:
    try:
        httpx2.get(f"{url}/livez", timeout=5, trust_env=False)
    except httpx2.HTTPError:
        return False
    assert urlsplit(url).port, url
    return True
