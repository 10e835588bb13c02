"""Open wallets from a file on a running system: once, however often, and never with another balance in silence."""

from pathlib import Path
from secrets import token_hex

import pytest

from tests.journeys.command_line import Ended, at, balances, hishab, wallets
from tests.running_system import System


@pytest.fixture
def name() -> str:
    """What this test's wallets are called: the system is shared."""
    return token_hex(4)


def open_wallets(system: System, tmp_path: Path, *rows: str) -> Ended:
    file = tmp_path / "accounts.csv"
    file.write_text("\n".join(["external_id,currency,balance", *rows, ""]), encoding="utf-8")
    return hishab("wallets", file, *at(system))


class TestWallets:
    def test_opens_and_funds_each_to_the_unit(self, system: System, tmp_path: Path, name: str) -> None:
        ended = open_wallets(system, tmp_path, f"{name}-ক,CZK,1000.29", f"{name}-b,JPY,7", f"{name}-c,CZK,0")
        assert ended.exit_code == 0, ended
        assert ended.document == {
            "rows": 3,
            "created": 3,
            "existing": 0,
            "funded": 2,
            "already_funded": 0,
            "failures": {},
            "failed_rows": [],
        }
        assert balances(system, f"{name}-ক", f"{name}-b", f"{name}-c") == {
            f"{name}-ক": 100029,
            f"{name}-b": 7,
            f"{name}-c": 0,
        }

    def test_changes_nothing_when_run_again(self, system: System, tmp_path: Path, name: str) -> None:
        rows = [f"{name}-a,CZK,5.00", f"{name}-b,CZK,0"]
        open_wallets(system, tmp_path, *rows)
        before = wallets(system, f"{name}-a", f"{name}-b")
        ended = open_wallets(system, tmp_path, *rows)
        assert ended.exit_code == 0, ended
        assert ended.document == {
            "rows": 2,
            "created": 0,
            "existing": 2,
            "funded": 0,
            "already_funded": 1,
            "failures": {},
            "failed_rows": [],
        }
        assert wallets(system, f"{name}-a", f"{name}-b") == before

    @pytest.mark.parametrize("balance", ["6.00", "4.99", "0"])
    def test_says_plainly_that_a_balance_was_changed(
        self, system: System, tmp_path: Path, name: str, balance: str
    ) -> None:
        open_wallets(system, tmp_path, f"{name}-a,CZK,5.00")
        ended = open_wallets(system, tmp_path, f"{name}-new,CZK,1.00", f"{name}-a,CZK,{balance}")
        assert ended.exit_code == 2, ended
        assert ended.document["failures"] == {"balance_changed": 1}
        (row,) = ended.document["failed_rows"]
        assert row["line"] == 3
        assert f"{name}-a: was opened with 5.00" in row["what"]
        assert balances(system, f"{name}-a", f"{name}-new") == {f"{name}-a": 500, f"{name}-new": 100}

    def test_names_a_wallet_that_is_there_in_another_currency(self, system: System, tmp_path: Path, name: str) -> None:
        open_wallets(system, tmp_path, f"{name}-a,CZK,0")
        ended = open_wallets(system, tmp_path, f"{name}-a,JPY,5", f"{name}-b,JPY,5")
        assert ended.exit_code == 1, ended
        assert [row["line"] for row in ended.document["failed_rows"]] == [2]
        assert balances(system, f"{name}-a", f"{name}-b") == {f"{name}-a": 0, f"{name}-b": 5}

    def test_does_nothing_at_all_with_a_malformed_file(self, system: System, tmp_path: Path, name: str) -> None:
        ended = open_wallets(system, tmp_path, f"{name}-a,CZK,5.00", f"{name}-b,CZK,5.001", f"{name}-a,CZK,5.00")
        assert ended.exit_code == 2, ended
        assert [fault["line"] for fault in ended.document["error"]["faults"]] == [3, 4]
        assert wallets(system, f"{name}-a") == {}
