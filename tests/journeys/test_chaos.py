"""A minute of chaos: what is killed, lost, emptied, frozen and restarted under load costs time, and nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos.faults import ALL
from tests.chaos.run import run

SLICE = ("F1", "F2", "F5", "F6", "F9", "F10")
CLIENTS = 20


@pytest.mark.timeout(900)
def test_each_fault_bites_and_nothing_is_violated(capsys: pytest.CaptureFixture[str]) -> None:
    with TemporaryDirectory(prefix="hishab-chaos-") as directory:
        place = Path(directory)
        # PostgreSQL may have to run as nobody.
        place.chmod(0o711)
        report = run(
            [ALL[name] for name in SLICE],
            place=place,
            seconds=0.0,
            seed=1,
            together=False,
            clients=CLIENTS,
            left_out={},
            say=print,
        )
    assert not report.failures
    assert {one.fault for one in report.faults if one.times} == set(SLICE)
