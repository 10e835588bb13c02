"""Bring a whole Hishab up in a temporary place, and take all of it away again, whatever happens."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hishab import tether
from hishab.connection import is_alive
from hishab.data_directory import CannotStartError, DataDirectory
from hishab.embedded import BROKER_BINARY_VARIABLE
from hishab.postgres_program import BINARIES_VARIABLE, REACHABLE_DIRECTORY

PREFIX: Final = "hishab-demo-"
LAST_WORDS_LINES: Final = 30
POLL_SECONDS: Final = 0.02
START_SECONDS_MAX: Final = 180.0
# PostgreSQL may take sixty by itself.
STOP_SECONDS_MAX: Final = 90.0
# What is set for somebody's real Hishab, its database above all, is none of the demo's.
KEPT_VARIABLES: Final = {BINARIES_VARIABLE, BROKER_BINARY_VARIABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A Hishab that serves, and that nobody needs."""

    url: str
    operator_key: str = field(repr=False)
    directory: DataDirectory
    log: Path

    def worker_id(self) -> int:
        """Return the process id of the lane worker, which applies the transfers."""
        running = self.directory.announced()
        assert running is not None, "it serves, so it has said where"
        return running.parts["lanes"]

    def kill_worker(self) -> int:
        """Kill the lane worker as the kernel kills, unasked and at once; return the process id it had."""
        pid = self.worker_id()
        os.kill(pid, signal.SIGKILL)
        return pid


@asynccontextmanager
async def temporary_stage(*, environment: Mapping[str, str], complain: Callable[[str], None]) -> AsyncGenerator[Stage]:
    """Run a Hishab within the block; leave no process and no file, whether it ends well, badly, or is cancelled.

    Cancelled again while it stops, it stops at once.

    Args:
        environment: Ours. Settings of another Hishab that are in it are left out.
        complain: Is told the end of the system's log, should an error leave the block.

    Raises:
        CannotStartError: It does not come up.
    """
    with _temporary_place() as place:
        log = place / "log"
        try:
            async with _running(place, log=log, environment=environment) as stage:
                yield stage
        except Exception:  # whatever it was: the log that may explain it is about to go
            complain(last_words(log))
            raise


def last_words(log: Path) -> str:
    """Return the end of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LAST_WORDS_LINES:])


@contextmanager
def _temporary_place() -> Generator[Path]:
    try:
        place = Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError as error:
        raise CannotStartError(
            f"There is no place for temporary files: {error.strerror}. Name one: TMPDIR=/some/where"
        ) from error
    try:
        # The user nobody, as whom root's PostgreSQL may have to run, must be let through.
        place.chmod(REACHABLE_DIRECTORY)
        yield place
    finally:
        shutil.rmtree(place)


@asynccontextmanager
async def _running(place: Path, *, log: Path, environment: Mapping[str, str]) -> AsyncGenerator[Stage]:
    directory, out = DataDirectory(place / "data"), place / "out"
    process = _started(directory, out=out, log=log, environment=_environment(place, environment=environment))
    try:
        await _until_serving(process, out=out)
        yield Stage(
            url=json.loads(_said(out))["url"],
            operator_key=directory.operator_key.read_text(encoding="ascii").strip(),
            directory=directory,
            log=log,
        )
    finally:
        await _stop(process)
        await _parts_ended(directory)


def _started(
    directory: DataDirectory, *, out: Path, log: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    up = [sys.executable, "-P", "-m", "hishab", "up", "--port", "0", "--json", "--allow-local-webhooks"]
    words = [*up, "--data-dir", str(directory.path)]
    with out.open("wb") as out_file, log.open("wb") as log_file:
        return subprocess.Popen(
            tether.command(words, death_signal=signal.SIGTERM, identity=tether.Identity.OWN),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=log_file,
            # Ctrl-C is heard here alone, and passed on once nothing is under way any more.
            start_new_session=True,
        )


def _environment(place: Path, *, environment: Mapping[str, str]) -> dict[str, str]:
    passed_on = {
        name: value for name, value in environment.items() if not name.startswith("HISHAB_") or name in KEPT_VARIABLES
    }
    # What is killed cannot clear up, and leaves its temporary files.
    return {**passed_on, "TMPDIR": str(place)}


async def _until_serving(process: "subprocess.Popen[bytes]", *, out: Path) -> None:
    clock = asyncio.get_running_loop()
    deadline = clock.time() + START_SECONDS_MAX
    while not _said(out).endswith(b"\n"):
        if process.poll() is not None:
            raise CannotStartError("Hishab could not be started here. Above is what it said last.")
        if clock.time() > deadline:
            raise CannotStartError(
                f"Hishab was not ready within {START_SECONDS_MAX:.0f} s. Above is what it said last."
            )
        await asyncio.sleep(POLL_SECONDS)


def _said(out: Path) -> bytes:
    return out.read_bytes()


async def _stop(process: "subprocess.Popen[bytes]") -> None:
    clock = asyncio.get_running_loop()
    deadline = clock.time() + STOP_SECONDS_MAX
    process.terminate()
    while process.poll() is None:
        try:
            await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            # Somebody is in a hurry; told twice, `hishab up` ends its parts at once.
            process.terminate()
        if clock.time() > deadline:
            process.kill()


async def _parts_ended(directory: DataDirectory) -> None:
    """Wait for the parts of a launcher that was killed, which the kernel has asked to end; otherwise there are none."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + STOP_SECONDS_MAX
    running = directory.announced()
    while running is not None and any(map(is_alive, running.parts.values())) and clock.time() < deadline:
        await asyncio.sleep(POLL_SECONDS)
