"""Stop what a killed launcher left behind, before its successor starts the same again.

On Linux the kernel has asked them to end already (`tether.py`), and this mostly waits for it.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from hishab.data_directory import CannotStartError, DataDirectory
from hishab.part_log import PartLog

STOP_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.05


async def stop_leftovers(
    directory: DataDirectory, *, marks: Mapping[str, str], log: PartLog, seconds_max: float = STOP_SECONDS_MAX
) -> None:
    """Stop the parts of an earlier start that still run. Only for whoever has taken the directory.

    Args:
        marks: What the command line of each part contains. A process id alone proves nothing: it may be somebody
            else's by now.
        seconds_max: How long they may take to end when asked, and again when forced.

    Raises:
        CannotStartError: One of them cannot be stopped.
    """
    left = dict(_left(directory, marks=marks))
    for name, pid in left.items():
        log.say(f"{name} (process {pid}) is left over from an earlier start; stopping it first.")
    for polite in (True, False):
        for name, pid in left.items():
            _send(_signal(name, polite=polite), pid)
        left = await _still_running(left, marks=marks, seconds_max=seconds_max)
    if left:
        raise CannotStartError(f"Parts of an earlier start cannot be stopped: {left}. Stop them, then start again.")
    # Otherwise PostgreSQL takes any process that has this id by now for itself, and refuses to start.
    _postmaster_file(directory).unlink(missing_ok=True)


def _left(directory: DataDirectory, *, marks: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    announced = directory.announced()
    recorded = dict(announced.parts) if announced else {}
    # PostgreSQL's own record is surer than ours.
    with suppress(FileNotFoundError, ValueError, IndexError):
        recorded["postgres"] = int(_postmaster_file(directory).read_text(encoding="utf-8").split()[0])
    return ((name, pid) for name, pid in recorded.items() if _runs(pid, mark=marks[name]))


async def _still_running(left: Mapping[str, int], *, marks: Mapping[str, str], seconds_max: float) -> dict[str, int]:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds_max):
            while any(_runs(pid, mark=marks[name]) for name, pid in left.items()):
                await asyncio.sleep(POLL_SECONDS)
    return {name: pid for name, pid in left.items() if _runs(pid, mark=marks[name])}


def _signal(name: str, *, polite: bool) -> signal.Signals:
    if name == "postgres":
        return signal.SIGINT if polite else signal.SIGQUIT
    return signal.SIGTERM if polite else signal.SIGKILL


def _send(number: signal.Signals, pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int, *, mark: str) -> bool:
    return mark in _command_line(pid)


def _command_line(pid: int) -> str:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout


def _postmaster_file(directory: DataDirectory) -> Path:
    return directory.postgres / "postmaster.pid"
