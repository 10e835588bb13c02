"""Whoever learns that a process has ended has heard all that it said."""

import asyncio
import os
import sys

import pytest

from hishab.process import Part, Process


def part(program: str) -> Part:
    return Part(name="part", command=[sys.executable, "-c", program], environment=dict(os.environ))


def await_death(pid: int) -> None:
    """Wait, holding up the event loop, until it is dead and nobody has heard what it said."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one cannot wait for an end without taking it")
def test_hears_the_last_words_before_the_end() -> None:
    heard: list[str] = []

    async def live() -> None:
        process = Process(part("print('one'); print('two', end='')"), hear=heard.append)
        await_death(process.pid)
        assert process.has_ended()
        assert heard == ["one", "two"]
        assert await process.ended() == 0

    asyncio.run(live())


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "was killed by signal 40"),
    ],
)
def test_says_how_it_ended(program: str, ending: str) -> None:
    async def live() -> str:
        process = Process(part(program), hear=lambda _: None)
        while not process.has_ended():
            await asyncio.sleep(0.01)
        return process.ending

    assert asyncio.run(live()) == ending
