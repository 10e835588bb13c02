"""Keep parts running: start them, restart those that die, give up on those that cannot live, stop all in order."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Final, Never

from hishab.orphans import Orphans, orphans_adopted
from hishab.part_log import PartLog
from hishab.process import Part, Process

# Source: issue 2, "fails three times in a row to live five seconds".
SHORT_LIVES_MAX: Final = 3
SHORT_LIFE_SECONDS: Final = 5.0
# Soon after a long life (0.2 s), later after a short one (0.8 s), later still after the second (3.2 s).
RESTART_DELAY_SECONDS: Final = 0.2
RESTART_DELAY_FACTOR: Final = 4

# The killed are gone in no time, unless a disk holds them up.
ORPHANS_SECONDS_MAX: Final = 5.0
ORPHANS_POLL_SECONDS: Final = 0.01

END_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PartFailedError(Exception):
    """A part cannot live, so the whole cannot: show its last words and end."""

    def __init__(self, process: Process, *, how: str) -> None:
        super().__init__(f"{process.part.name} {how}")
        self.part_name = process.part.name
        self.last_words = tuple(process.last_words)


class EndAskedError(Exception):
    """Somebody asked for the end: how a task ends its group."""


@asynccontextmanager
async def supervised(
    *, log: PartLog, report: Callable[[Mapping[str, int]], None], stop_order: Sequence[Sequence[str]]
) -> AsyncGenerator["Supervisor"]:
    """Keep parts running from within the block and after it, until SIGINT, SIGTERM or SIGHUP; then stop them in order.

    A second signal kills them at once. Enter it in the main thread.

    Args:
        report: Is given the process id of each kept part by name, whenever one changes.
        stop_order: Names of parts; those of one group stop side by side, the groups one after the other.

    Raises:
        ExceptionGroup: of one `PartFailedError`. By then, too, all parts have been stopped.
    """
    tasks = asyncio.TaskGroup()
    with orphans_adopted() as orphans:
        supervisor = Supervisor(log=log, report=report, tasks=tasks, orphans=orphans)
        with _signals_heard(supervisor):
            try:
                async with tasks:
                    tasks.create_task(supervisor.until_end())
                    yield supervisor
            except* EndAskedError:
                pass
            finally:
                await supervisor.stop(order=stop_order)


@contextmanager
def _signals_heard(supervisor: "Supervisor") -> Generator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, supervisor.notice)
    for number in END_SIGNALS:
        # Whoever started us with nohup does not want SIGHUP heard.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, supervisor.end)
    try:
        yield
    finally:
        for number in (signal.SIGCHLD, *END_SIGNALS):
            loop.remove_signal_handler(number)


class Supervisor:
    """Keeps parts running. Made by `supervised`."""

    def __init__(
        self,
        *,
        log: PartLog,
        report: Callable[[Mapping[str, int]], None],
        tasks: asyncio.TaskGroup,
        orphans: Orphans,
    ) -> None:
        self._log = log
        self._report = report
        self._tasks = tasks
        self._orphans = orphans
        self._end_asked = asyncio.Event()
        self._alive: dict[str, Process] = {}
        self._kept: dict[str, int] = {}

    def keep(self, part: Part) -> None:
        """Start a part, and start it again whenever it ends. Three lives in a row under five seconds end the whole."""
        self._tasks.create_task(self._keep(part))

    async def run(self, part: Part) -> None:
        """Run a part that does its work and ends.

        Raises:
            PartFailedError: It ended with anything but 0.
        """
        process = self._start(part)
        if await process.ended() != 0:
            raise PartFailedError(process, how=process.ending)

    def end(self) -> None:
        """Leave in good order; asked again, at once."""
        if self._end_asked.is_set():
            self._log.say("Ending at once.")
            for process in self._alive.values():
                process.kill()
        else:
            self._log.say("Stopping. Once more ends it at once.")
            self._end_asked.set()

    async def until_end(self) -> Never:
        """Wait until the end is asked for.

        Raises:
            EndAskedError: It is.
        """
        await self._end_asked.wait()
        raise EndAskedError

    async def stop(self, *, order: Sequence[Sequence[str]]) -> None:
        """Stop all parts, in groups one after the other; what has no place in the order goes first."""
        # Whatever the reason, whoever asks now is in a hurry.
        self._end_asked.set()
        named = {name for names in order for name in names}
        for names in ([name for name in self._alive if name not in named], *order):
            await asyncio.gather(*[self._alive[name].stop() for name in names if name in self._alive])
        with suppress(TimeoutError):
            async with asyncio.timeout(ORPHANS_SECONDS_MAX):
                while self._end_orphans():
                    await asyncio.sleep(ORPHANS_POLL_SECONDS)

    def notice(self) -> None:
        """Look which parts have ended, and end what they leave behind."""
        for name, process in tuple(self._alive.items()):
            if process.has_ended():
                del self._alive[name]
        self._end_orphans()

    async def _keep(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        short_lives = 0
        while True:
            born_at = loop.time()
            process = self._start(part)
            self._kept[part.name] = process.pid
            self._report(self._kept)
            await process.ended()
            short_lives = short_lives + 1 if loop.time() - born_at < SHORT_LIFE_SECONDS else 0
            if short_lives == SHORT_LIVES_MAX:
                tries = f"the {SHORT_LIVES_MAX}rd time in a row within {SHORT_LIFE_SECONDS:.0f} s"
                raise PartFailedError(process, how=f"{process.ending}, {tries}")
            delay_seconds = RESTART_DELAY_SECONDS * RESTART_DELAY_FACTOR**short_lives
            self._log.say(f"{part.name} {process.ending}; it starts again in {delay_seconds:.1f} s.")
            await asyncio.sleep(delay_seconds)

    def _end_orphans(self) -> bool:
        return self._orphans.end(spare={process.pid for process in self._alive.values()})

    def _start(self, part: Part) -> Process:
        process = Process(part, hear=partial(self._log.say, name=part.name))
        self._alive[part.name] = process
        return process
