"""Parts are kept running, given up, and stopped as the launcher promises. The parts are real processes."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic

import pytest

from hishab.part_log import PartLog
from hishab.process import LAST_WORDS_LINES, Part
from hishab.supervise import PartFailedError, Supervisor, supervised
from tests.eventually import eventually
from tests.running_system import is_running

WAIT_FOR_SIGNALS = "while True: signal.pause()"
WAIT_FOR_SIGNALS_ALONE = f"import signal\n{WAIT_FOR_SIGNALS}"
ON_SIGTERM_SAY_BYE = "signal.signal(signal.SIGTERM, lambda *_: (say('bye'), sys.exit(0)))"

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody adopts orphans")


def python(name: str, *lines: str, stop_seconds_max: float = 20.0) -> Part:
    """Describe a part that runs these lines; `say` writes one, also amid a signal."""
    program = "\n".join(
        ["import os, signal, subprocess, sys", "def say(line): os.write(1, f'{line}\\n'.encode())", *lines],
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    return Part(name=name, command=command, environment=dict(os.environ), stop_seconds_max=stop_seconds_max)


class Stage:
    """A supervisor's surroundings: what was logged, and who was reported to run."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.pids: Mapping[str, int] = {}

    @property
    def lines(self) -> Sequence[str]:
        return self._stream.getvalue().splitlines()

    def play(
        self,
        scene: Callable[[Supervisor], Awaitable[None]],
        *,
        names: Sequence[str] = ("part",),
        stop_order: Sequence[Sequence[str]] = (),
    ) -> None:
        """Run a scene, then end in good order."""

        async def play() -> None:
            log = PartLog(self._stream, names=names, coloured=False)
            async with supervised(log=log, report=self._report, stop_order=stop_order) as supervisor:
                await scene(supervisor)
                supervisor.end()

        asyncio.run(play())

    async def hears(self, text: str, *, times: int = 1) -> None:
        """Wait until a line with the text has been logged so many times."""
        async with asyncio.timeout(60):
            while sum(text in line for line in self.lines) < times:
                await asyncio.sleep(0.01)

    def _report(self, pids: Mapping[str, int]) -> None:
        self.pids = dict(pids)


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestKeep:
    def test_restarts_a_part_that_dies_and_names_it_and_its_exit_code(self, stage: Stage, tmp_path: Path) -> None:
        first = tmp_path / "first"
        part = python(
            "part",
            f"if not os.path.exists({str(first)!r}): open({str(first)!r}, 'x'); sys.exit(7)",
            "say('alive again')",
            WAIT_FOR_SIGNALS,
        )

        async def scene(supervisor: Supervisor) -> None:
            supervisor.keep(part)
            await stage.hears("alive again")

        stage.play(scene)

        assert any("hishab" in line and "part ended with exit code 7" in line for line in stage.lines)

    def test_names_the_signal_that_killed_it_and_reports_its_successor(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            supervisor.keep(python("part", "say('up')", WAIT_FOR_SIGNALS))
            await stage.hears("up")
            first = stage.pids["part"]
            os.kill(first, signal.SIGKILL)
            await stage.hears("up", times=2)
            assert stage.pids["part"] != first
            assert is_running(stage.pids["part"])

        stage.play(scene)

        assert any("part was killed by SIGKILL" in line for line in stage.lines)

    def test_gives_up_on_a_part_that_dies_young_three_times_in_a_row(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            supervisor.keep(python("part", "say('I cannot go on')", "sys.exit(3)"))
            supervisor.keep(python("other", "say('fine')", WAIT_FOR_SIGNALS))
            await asyncio.Event().wait()

        with pytest.raises(ExceptionGroup) as caught:
            stage.play(scene, names=["part", "other"])

        (failure,) = caught.value.exceptions
        assert isinstance(failure, PartFailedError)
        assert failure.part_name == "part"
        assert failure.last_words == ("I cannot go on",)
        assert sum("I cannot go on" in line for line in stage.lines) == 3
        assert not is_running(stage.pids["other"])

    def test_keeps_the_last_words_bounded(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            await supervisor.run(python("part", "for number in range(1000): say(number)", "sys.exit(1)"))

        with pytest.raises(ExceptionGroup) as caught:
            stage.play(scene)

        (failure,) = caught.value.exceptions
        assert isinstance(failure, PartFailedError)
        assert failure.last_words == tuple(str(number) for number in range(1000 - LAST_WORDS_LINES, 1000))

    @pytest.mark.parametrize("own_session", [False, pytest.param(True, marks=only_linux)])
    def test_leaves_nothing_of_a_dead_part_beside_its_successor(self, stage: Stage, *, own_session: bool) -> None:
        program = f"[sys.executable, '-c', 'import signal; signal.pause()'], start_new_session={own_session}"
        child = f"subprocess.Popen({program}).pid"

        async def scene(supervisor: Supervisor) -> None:
            supervisor.keep(python("part", f"say('child %d' % {child})", WAIT_FOR_SIGNALS))
            await stage.hears("child")
            child_pid = int(next(line for line in stage.lines if "child" in line).split()[-1])
            os.kill(stage.pids["part"], signal.SIGKILL)
            await stage.hears("child", times=2)
            eventually(lambda: not is_running(child_pid))

        stage.play(scene)

    def test_leaves_alone_what_it_did_not_start(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            supervisor.keep(python("part", "say('up')", WAIT_FOR_SIGNALS))
            await stage.hears("up")
            os.kill(stage.pids["part"], signal.SIGKILL)
            await stage.hears("up", times=2)

        with subprocess.Popen([sys.executable, "-c", WAIT_FOR_SIGNALS_ALONE], start_new_session=True) as older:
            stage.play(scene)
            assert older.poll() is None
            older.kill()


class TestRun:
    def test_returns_when_the_part_is_done(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            await supervisor.run(python("part", "say('done')"))
            assert any("done" in line for line in stage.lines)

        stage.play(scene)

    def test_keeps_a_secret_out_of_the_log(self, stage: Stage) -> None:
        part = python("part", "say('sk_secret')", "print('a complaint', file=sys.stderr)")

        async def scene(supervisor: Supervisor) -> None:
            silent = Part(name="part", command=part.command, environment=part.environment, silent=True)
            await supervisor.run(silent)

        stage.play(scene)

        assert any("a complaint" in line for line in stage.lines)
        assert not any("sk_secret" in line for line in stage.lines)


class TestEnd:
    def test_stops_in_the_order_given_each_group_after_the_one_before(self, stage: Stage) -> None:
        names = ["first", "second", "third"]

        async def scene(supervisor: Supervisor) -> None:
            for name in reversed(names):
                supervisor.keep(python(name, ON_SIGTERM_SAY_BYE, "say('up')", WAIT_FOR_SIGNALS))
            await stage.hears("up", times=3)

        stage.play(scene, names=names, stop_order=[["first"], ["second"], ["third"]])

        assert [line.split()[0] for line in stage.lines if line.endswith("bye")] == names
        assert not any(is_running(pid) for pid in stage.pids.values())

    def test_kills_a_part_that_does_not_stop_in_time(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            deaf = python(
                "part",
                "signal.signal(signal.SIGTERM, lambda *_: say('not yet'))",
                "say('up')",
                WAIT_FOR_SIGNALS,
                # Enough to be heard saying it, also on a busy machine.
                stop_seconds_max=2.0,
            )
            supervisor.keep(deaf)
            await stage.hears("up")

        stage.play(scene)

        assert any("not yet" in line for line in stage.lines)
        assert not is_running(stage.pids["part"])

    def test_asked_again_ends_at_once(self, stage: Stage) -> None:
        asked_at: list[float] = []

        def ask_again(supervisor: Supervisor) -> None:
            asked_at.append(monotonic())
            supervisor.end()

        async def scene(supervisor: Supervisor) -> None:
            deaf = "signal.signal(signal.SIGTERM, lambda *_: say('not yet'))"
            supervisor.keep(python("part", deaf, "say('up')", WAIT_FOR_SIGNALS, stop_seconds_max=30))
            await stage.hears("up")
            asyncio.get_running_loop().call_later(0.1, ask_again, supervisor)

        stage.play(scene)

        assert monotonic() - asked_at[0] < 15
        assert not is_running(stage.pids["part"])


class TestLog:
    def test_breaks_a_line_without_end_into_pieces(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            await supervisor.run(python("part", "sys.stdout.write('x' * 1_000_000)"))

        stage.play(scene)

        heard = [line.partition("| ")[2] for line in stage.lines if line.startswith("part")]
        assert sum(map(len, heard)) == 1_000_000
        assert len(heard) > 1

    def test_shows_bytes_that_are_no_text(self, stage: Stage) -> None:
        async def scene(supervisor: Supervisor) -> None:
            await supervisor.run(python("part", "os.write(1, b'caf\\xe9')"))

        stage.play(scene)

        assert any(line.endswith("caf\N{REPLACEMENT CHARACTER}") for line in stage.lines)
