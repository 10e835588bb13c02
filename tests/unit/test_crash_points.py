"""Crash points: told how to die and where, and not there at all unless somebody asked for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared import crash_points
from shared.database.boundaries import async_connection_class, connection_class
from shared.database.patience import PatientAsyncConnection, PatientConnection

ROOT = Path(__file__).parents[2]


def applied(*transfer_ids: str) -> int:
    return len(transfer_ids)


class TestUnarmed:
    def test_there_are_none(self) -> None:
        assert not crash_points.are_armed()
        assert connection_class() is PatientConnection
        assert async_connection_class() is PatientAsyncConnection
        assert crash_points.around("worker.decide", applied) is applied


class TestCrash:
    def test_comes_when_the_point_is_passed_that_often(self) -> None:
        crash = crash_points.parse("raise before ledger.write_entries COPY #2")
        crash("before ledger.write_entries COPY", None)
        crash("before ledger.write_entries", None)
        with pytest.raises(crash_points.CrashPointError):
            crash("before ledger.write_entries COPY", None)
        crash("before ledger.write_entries COPY", None)

    def test_comes_whenever_an_id_is_concerned(self) -> None:
        crash = crash_points.parse("raise before worker.decide of 7f")
        crash("before worker.decide", ["6e"])
        for _ in range(2):
            with pytest.raises(crash_points.CrashPointError):
                crash("before worker.decide", ["6e", "7f"])

    @pytest.mark.parametrize("spelled", ["", "kill", "kill here", "kill here #0", "hang here #1", "kill here of "])
    def test_has_one_spelling(self, spelled: str) -> None:
        with pytest.raises(ValueError, match="a crash is"):
            crash_points.parse(spelled)


@pytest.mark.parametrize("program", [["-m", "api.main"], ["-m", "worker.main", "upkeep"]])
def test_a_process_refuses_to_start_with_one_unless_that_is_allowed(program: list[str]) -> None:
    environment = {
        "HISHAB_CRASH_AT": "kill before worker.decide #1",
        "HISHAB_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "HISHAB_TOKEN_KEYS": f"a:{'00' * 32}",
        "HISHAB_PIN_PEPPER": "00" * 32,
        "HISHAB_WEBHOOK_SECRET_KEYS": "",
    }
    ended = subprocess.run(
        [sys.executable, *program], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "HISHAB_ALLOW_CRASHES=true is for tests alone" in ended.stderr
