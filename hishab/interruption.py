"""Let signals end what is under way in good order, wherever it is: it is cancelled, never torn."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from hishab.supervise import END_SIGNALS

T = TypeVar("T")


class SignalledError(Exception):
    """Somebody asked for the end by a signal, and everything has been taken back."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__("Interrupted. What had been started has been stopped and removed.")
        self.number = number


def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns. A signal cancels it; each further one cancels it again, and then hurries it.

    Raises:
        SignalledError: It was asked to end, and has ended.
    """
    return asyncio.run(_watched(work))


async def _watched(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    asked: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        asked.append(number)
        task.cancel()

    heard = [number for number in END_SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    for number in heard:
        loop.add_signal_handler(number, end, number)
    await asyncio.wait({task})
    for number in heard:
        loop.remove_signal_handler(number)
    if asked and (task.cancelled() or task.exception() is None):
        raise SignalledError(asked[0])
    return task.result()
