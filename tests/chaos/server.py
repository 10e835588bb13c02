"""Run a PostgreSQL or a broker that can be killed, frozen, left away and started again, as often as a fault likes."""

import os
import signal
import subprocess
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hishab import tether
from hishab.embedded import PrivateBroker, PrivatePostgres
from shared import clock
from tests.eventually import eventually
from tests.running_system import answers, descendants, lets_in, tail

START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 60.0


@dataclass(slots=True, kw_only=True)
class Server:
    """A server of the harness's own.

    Attributes:
        log: What all its lives have said.
        outages: From when to when it was away, on the monotonic clock.
    """

    server: PrivatePostgres | PrivateBroker = field(repr=False)
    log: Path
    serves: Callable[[str], bool]
    starter: ThreadPoolExecutor
    outages: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _process: "subprocess.Popen[bytes] | None" = None
    _went_seconds: float | None = None

    @property
    def url(self) -> str:
        """Where it is reached, password included, past any relay."""
        return self.server.url

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return self.server.port

    @property
    def pid(self) -> int:
        """Its process: the postmaster, of PostgreSQL. Only while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def processes(self) -> set[int]:
        """Its process, and those that it has started."""
        return {self.pid, *descendants(self.pid)}

    def has_ended(self) -> bool:
        """Say whether it has ended by itself."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        # Always from the same thread: a child dies with the thread that started it.
        self._process = self.starter.submit(self._start).result()
        # Before it serves: what is asked from now on may be answered.
        self._is_back()
        eventually(self._is_up, seconds_max=START_SECONDS_MAX, otherwise=lambda: tail(self.log))

    def stop(self, number: signal.Signals | None = None) -> None:
        """End it with a signal, as it likes to be ended unless another is given, and wait until it has.

        SIGQUIT is what `pg_ctl -m immediate` sends; a broker is killed by SIGKILL.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(number or self.server.part.stop_signal)
        # One that was frozen hears nothing else.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._went_seconds = clock.monotonic_seconds()

    @contextmanager
    def frozen(self) -> Generator[None]:
        """Keep it from doing anything, while it seems to be there, until the block is left."""
        self._send(signal.SIGSTOP)
        self._went_seconds = clock.monotonic_seconds()
        try:
            yield
        finally:
            self._is_back()
            self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for pid in self.processes:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _is_back(self) -> None:
        if self._went_seconds is not None:
            self.outages.append((self._went_seconds, clock.monotonic_seconds()))
            self._went_seconds = None

    def _start(self) -> "subprocess.Popen[bytes]":
        part = self.server.part
        command = tether.command(part.command, death_signal=part.stop_signal, identity=part.identity)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=part.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_up(self) -> bool:
        """Say whether it serves; one that could not start, as there was still a trace of the last, is tried again."""
        assert self._process is not None
        if self._process.poll() is not None:
            self._process = self.starter.submit(self._start).result()
        return self.serves(self.url)


@contextmanager
def serving(server: PrivatePostgres | PrivateBroker, *, log: Path) -> Generator[Server]:
    """Run a server until the block is left."""
    server.make_ready()
    serves = lets_in if isinstance(server, PrivatePostgres) else answers
    with ThreadPoolExecutor(1, thread_name_prefix=f"start-{server.part.name}") as starter:
        kept = Server(server=server, log=log, serves=serves, starter=starter)
        try:
            kept.start()
            yield kept
        finally:
            kept.stop()
