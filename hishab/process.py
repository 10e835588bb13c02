"""Run one process in a session of its own, hear every line it says, and learn how it ended."""

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from hishab import tether

LAST_WORDS_LINES: Final = 20
# What a pipe holds, so that one read empties it. A line that is longer is heard in pieces.
CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A program to run.

    Attributes:
        stop_signal: Asks it to end in good order; it is also sent when the launcher dies.
        stop_seconds_max: How long ending in good order may take.
        kill_signal: Ends it at once.
        silent: What it prints on standard output is a secret and goes nowhere; standard error is heard as ever.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds_max: float = 10.0
    kill_signal: signal.Signals = signal.SIGKILL
    identity: tether.Identity = tether.Identity.OWN
    silent: bool = False


class Process:
    """One life of a part. Made in the main thread (`tether.py` says why), within its event loop.

    Whoever makes one asks `has_ended` at each SIGCHLD, until it has.
    """

    def __init__(self, part: Part, *, hear: Callable[[str], None]) -> None:
        self.part = part
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS_LINES)
        self._hear = hear
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._output, writing = os.pipe()
        os.set_blocking(self._output, False)
        try:
            self._popen = subprocess.Popen(
                tether.command(part.command, death_signal=part.stop_signal, identity=part.identity),
                env=part.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if part.silent else writing,
                stderr=writing,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self._loop.add_reader(self._output, self._read)

    @property
    def pid(self) -> int:
        """The process id, which is also its session's and its group's."""
        return self._popen.pid

    @property
    def ending(self) -> str:
        """Say how it ended, as the end of a sentence that begins with its name."""
        code = self._ended.result()
        return f"was killed by {_name(-code)}" if code < 0 else f"ended with exit code {code}"

    async def ended(self) -> int:
        """Wait for the end; give the exit code, or minus the signal that killed it."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Ask it to end and see that it does: where asking does not help in time, force it."""
        for number in (self.part.stop_signal, self.part.kill_signal, signal.SIGKILL):
            self._popen.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.part.stop_seconds_max):
                    await self.ended()
                    return

    def kill(self) -> None:
        """End it at once, along with what it started in its own group."""
        self._signal_group(self.part.kill_signal)

    def has_ended(self) -> bool:
        """Tell whether it has ended; if so, what it said last is heard before `ended` returns."""
        code = self._popen.poll()
        if code is None:
            return False
        # What a part leaves behind must not work on beside its successor.
        self._signal_group(signal.SIGKILL)
        self._read()
        self._hear_rest()
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self._ended.set_result(code)
        return True

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of the dead
            os.killpg(self.pid, number)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            chunk = os.read(self._output, CHUNK_BYTES)
            if not chunk:
                # Nobody can write any more; without this the loop would report it for ever.
                self._loop.remove_reader(self._output)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._say(line)
            if len(self._rest) >= CHUNK_BYTES:
                self._hear_rest()

    def _hear_rest(self) -> None:
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last_words.append(text)
        self._hear(text)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
