"""Some chaos: what is killed, lost, emptied, frozen, cut and restarted under load costs time, and nothing else."""

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos.fault import Doing, Fault
from tests.chaos.faults import ALL
from tests.chaos.report import Report, page
from tests.chaos.run import run
from tests.chaos.world import World

SLICE = ("F1", "F2", "F5", "F6", "F9", "F10", "F11")
CLIENTS = 20

SLACK = 20.0
"""Whatever else the machine is busy with."""


def broken_by(faults: Sequence[Fault]) -> Report:
    """Break a system once in each of these ways."""
    with TemporaryDirectory(prefix="hishab-chaos-") as directory:
        place = Path(directory)
        # PostgreSQL may have to run as nobody.
        place.chmod(0o711)
        return run(
            faults,
            place=place,
            seconds=0.0,
            seed=1,
            together=False,
            clients=CLIENTS,
            left_out={},
            say=print,
            slack=SLACK,
        )


def end_all(world: World, *, seconds: float, chance: random.Random) -> int:
    """Kill what keeps the parts running, and so all of them."""
    os.kill(world.system.pid, signal.SIGKILL)
    return 1


@pytest.mark.timeout(900)
def test_each_fault_bites_and_nothing_is_violated(capsys: pytest.CaptureFixture[str]) -> None:
    report = broken_by([ALL[name] for name in SLICE])
    assert not report.failures
    assert {one.fault for one in report.faults if one.times} == set(SLICE)


@pytest.mark.timeout(900)
def test_a_system_that_dies_under_it_is_reported_and_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = broken_by([Doing(name="F0", what="it is killed for good", does=end_all)])
    first, *_, last = report.failures
    assert first == "`hishab up` ended while it was being broken"
    assert last.startswith("`hishab up`: it ended with exit code -9\n")
    assert "      api " in page(report)
