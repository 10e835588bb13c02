"""Send files of payments to a running system: each row once, whatever happens between two runs of the command."""

import csv
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from tests.chaos.relay import holding_back
from tests.journeys.command_line import COMMAND_SECONDS_MAX, Ended, at, balances, command, hishab, wallets
from tests.running_system import System

NOBODY = "00000000-0000-7000-8000-000000000000"
HEADER = "source,destination,amount,currency,reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A payer with 10.00 CZK, a payee with nothing, and a file between them, all for one test alone."""

    system: System
    file: Path
    payer: str
    payee: str

    def submit(self, *rows: str, options: tuple[str, ...] = ()) -> Ended:
        """Write these rows, with P for the payer and Q for the payee, and send them."""
        text = "\n".join([HEADER, *rows, ""])
        self.file.write_text(self.named(text), encoding="utf-8")
        return hishab("submit", self.file, *options, *at(self.system))

    def named(self, text: str) -> str:
        return text.replace("P,", f"{self.payer},").replace("Q,", f"{self.payee},")

    @property
    def results_file(self) -> Path:
        return self.file.with_suffix(".results.csv")

    @property
    def results(self) -> list[dict[str, str]]:
        with self.results_file.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @property
    def paid_minor(self) -> int:
        held = balances(self.system, self.payer, self.payee)
        assert held[self.payer] + held[self.payee] == 1000
        return held[self.payee]


@pytest.fixture
def bench(system: System, tmp_path: Path) -> Bench:
    name = token_hex(4)
    accounts = tmp_path / "accounts.csv"
    accounts.write_text(f"external_id,currency,balance\n{name}-payer,CZK,10.00\n{name}-payee,CZK,0\n")
    assert hishab("wallets", accounts, *at(system)).exit_code == 0
    return Bench(system=system, file=tmp_path / f"{name}.csv", payer=f"{name}-payer", payee=f"{name}-payee")


class TestSubmit:
    def test_pays_each_row_in_order_and_counts_what_failed(self, bench: Bench) -> None:
        ended = bench.submit("P,Q,8.00,CZK,first", "P,Q,5.00,CZK,too much", "P,Q,2.00,CZK,")
        assert ended.exit_code == 1, ended
        report = ended.document
        assert (report["rows"], report["succeeded"], report["failed"], report["already_done"]) == (3, 2, 1, 0)
        assert report["failures"] == {"insufficient_funds": 1}
        assert bench.paid_minor == 1000
        assert [(row["row"], row["reference"], row["status"], row["failure_code"]) for row in bench.results] == [
            ("1", "first", "succeeded", ""),
            ("2", "too much", "failed", "insufficient_funds"),
            ("3", "", "succeeded", ""),
        ]

    def test_sends_the_rows_of_one_payer_in_the_order_of_the_file(self, bench: Bench) -> None:
        bench.submit(*[f"P,Q,1.00,CZK,{number}" for number in range(40)])
        assert [row["status"] for row in bench.results] == ["succeeded"] * 10 + ["failed"] * 30

    def test_takes_wallets_by_their_ids_too(self, bench: Bench) -> None:
        by_name = wallets(bench.system, bench.payer, bench.payee)
        payer, payee = by_name[bench.payer].id, by_name[bench.payee].id
        assert bench.submit(f"{payer},{payee.upper()},1.00,CZK,r").exit_code == 0
        assert bench.paid_minor == 100

    def test_pays_two_rows_that_look_the_same_twice(self, bench: Bench) -> None:
        assert bench.submit("P,Q,1.00,CZK,r", "P,Q,1.00,CZK,r").exit_code == 0
        assert bench.paid_minor == 200

    def test_a_second_run_changes_nothing_and_says_so(self, bench: Bench) -> None:
        rows = ["P,Q,8.00,CZK,r", "P,Q,5.00,CZK,r"]
        bench.submit(*rows)
        results = bench.results_file.read_bytes()
        ended = bench.submit(*rows)
        assert (ended.exit_code, ended.document["already_done"]) == (1, 2), ended
        assert bench.results_file.read_bytes() == results
        assert bench.paid_minor == 800

    def test_pays_nothing_twice_where_the_results_were_lost(self, bench: Bench) -> None:
        bench.submit("P,Q,1.00,CZK,r", "P,Q,1.00,CZK,r")
        results = bench.results_file.read_bytes()
        bench.results_file.unlink()
        # A spreadsheet may have had the file in the meantime.
        ended = bench.submit("P,Q,1,CZK,r", "P,Q,1.0,CZK,r")
        assert (ended.exit_code, ended.document["already_done"]) == (0, 2), ended
        assert bench.results_file.read_bytes() == results
        assert bench.paid_minor == 200

    def test_sends_what_was_added(self, bench: Bench) -> None:
        bench.submit("P,Q,1.00,CZK,r")
        ended = bench.submit("P,Q,1.00,CZK,r", "P,Q,1.00,CZK,r")
        assert (ended.exit_code, ended.document["already_done"]) == (0, 1), ended
        assert bench.paid_minor == 200

    def test_sends_it_all_again_under_another_name(self, bench: Bench) -> None:
        bench.submit("P,Q,1.00,CZK,r", options=("--run", "june"))
        ended = bench.submit("P,Q,1.00,CZK,r", options=("--run", "july"))
        assert ended.exit_code == 2, ended
        assert "not as of run 'july'" in ended.document["error"]["faults"][0]["what"]
        bench.results_file.rename(bench.file.with_suffix(".june"))
        assert bench.submit("P,Q,1.00,CZK,r", options=("--run", "july")).exit_code == 0
        assert bench.paid_minor == 200

    def test_a_file_without_rows_is_done_at_once(self, bench: Bench) -> None:
        ended = bench.submit()
        assert (ended.exit_code, ended.document["rows"]) == (0, 0), ended


class TestChangedRows:
    @pytest.mark.parametrize(
        ("row", "column", "what"),
        [
            ("P,Q,2.00,CZK,r", "amount", "was 1.00 when it was accepted as transfer"),
            ("P,Q,1.00,CZK,s", "reference", "was 'r' when it was accepted as transfer"),
            ("Q,Q,1.00,CZK,r", "source", "was "),
            ("P,P,1.00,CZK,r", "destination", "was "),
            ("P,Q,1,JPY,r", "currency", "was CZK when it was accepted as transfer"),
        ],
    )
    def test_are_named_before_anything_is_sent(self, bench: Bench, row: str, column: str, what: str) -> None:
        bench.submit("P,Q,1.00,CZK,r")
        ended = bench.submit(row, "P,Q,1.00,CZK,new")
        assert ended.exit_code == 2, ended
        fault = next(fault for fault in ended.document["error"]["faults"] if fault["column"] == column)
        assert (fault["line"], fault["row"]) == (2, 1)
        assert fault["what"].startswith(what)
        assert bench.paid_minor == 100

    def test_are_named_where_they_are_gone(self, bench: Bench) -> None:
        bench.submit("P,Q,1.00,CZK,r", "P,Q,2.00,CZK,r")
        ended = bench.submit("P,Q,1.00,CZK,r")
        assert ended.exit_code == 2, ended
        (fault,) = ended.document["error"]["faults"]
        assert fault["row"] == 2
        assert "is gone now" in fault["what"]

    def test_results_of_another_system_are_not_believed(self, bench: Bench) -> None:
        bench.submit("P,Q,1.00,CZK,r")
        text = bench.results_file.read_text()
        bench.results_file.write_text(text.replace(bench.results[0]["transfer_id"], NOBODY))
        ended = bench.submit("P,Q,1.00,CZK,r")
        assert ended.exit_code == 2, ended
        assert "does not know" in ended.document["error"]["faults"][0]["what"]


class TestRefusedRows:
    def test_stop_nobody_else_and_can_be_mended(self, bench: Bench) -> None:
        ended = bench.submit("P,P,1.00,CZK,r", "P,Q,1.00,CZK,r")
        assert (ended.exit_code, ended.document["failures"]) == (1, {"same_wallet": 1}), ended
        assert [(row["status"], row["failure_code"]) for row in bench.results] == [
            ("refused", "same_wallet"),
            ("succeeded", ""),
        ]
        assert bench.paid_minor == 100
        # Mended, it looks like the row that was paid. It is another payment all the same.
        ended = bench.submit("P,Q,1.00,CZK,r", "P,Q,1.00,CZK,r")
        assert (ended.exit_code, ended.document["already_done"]) == (0, 1), ended
        assert bench.paid_minor == 200
        assert len({row["transfer_id"] for row in bench.results}) == 2
        assert bench.submit("P,Q,1.00,CZK,r", "P,Q,1.00,CZK,r").document["already_done"] == 2
        assert bench.paid_minor == 200


class TestMalformedFiles:
    def test_name_each_bad_row_before_anything_is_sent(self, bench: Bench) -> None:
        ended = bench.submit("P,Q,1.00,CZK,r", "P,Q,1.001,CZK,r", "P,Q,-1,CZK,r", "P,1.00,CZK,r")
        assert ended.exit_code == 2, ended
        assert [fault["line"] for fault in ended.document["error"]["faults"]] == [3, 4, 5]
        assert not bench.results_file.exists()
        assert bench.paid_minor == 0

    def test_name_wallets_that_are_not_there(self, bench: Bench) -> None:
        ended = bench.submit(
            "P,Q,1.00,CZK,r", "P,nobody,1.00,CZK,r", f"{NOBODY},Q,1.00,CZK,r", "x" * 300 + ",Q,1,CZK,r"
        )
        assert ended.exit_code == 2, ended
        assert [(fault["line"], fault["column"]) for fault in ended.document["error"]["faults"]] == [
            (3, "destination"),
            (4, "source"),
            (5, "source"),
        ]
        assert bench.paid_minor == 0

    def test_are_complained_of_in_words(self, bench: Bench) -> None:
        bench.submit("P,Q,ten,CZK,r")
        ended = hishab("submit", bench.file, "--data-dir", bench.system.data_dir)
        assert (ended.exit_code, ended.out) == (2, "")
        assert "1 thing to mend, nothing was sent" in ended.err
        assert "line 2 (row 1): amount 'ten' is not a number" in ended.err


@contextmanager
def halfway(bench: Bench, *rows: str) -> Generator["subprocess.Popen[str]"]:
    """Send these rows, and stand still at that with the reference `halfway`: its answer is lost, and missed in 30 s."""
    bench.file.write_text(bench.named("\n".join([HEADER, *rows, ""])))
    with holding_back(bench.system.url, requests=b"halfway") as (relay, url):
        process = subprocess.Popen(
            command("submit", bench.file, "--url", url),
            env={**os.environ, "HISHAB_API_KEY": bench.system.operator_key},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert relay.caught.wait(COMMAND_SECONDS_MAX)
                yield process
            finally:
                process.kill()


class TestCutOff:
    def test_a_killed_run_is_finished_by_the_next(self, bench: Bench) -> None:
        rows = [f"P,Q,0.01,CZK,{'halfway' if number == 50 else number % 3}" for number in range(300)]
        with halfway(bench, *rows) as first:
            # So that the second run meets it alive, and as it is, however long it takes.
            first.send_signal(signal.SIGSTOP)
            second = hishab("submit", bench.file, *at(bench.system))
            first.send_signal(signal.SIGKILL)
        assert (second.exit_code, second.document["error"]["code"]) == (2, "results_unusable"), second
        assert len(bench.results) == 50
        ended = bench.submit(*rows)
        assert ended.exit_code == 0, ended
        assert ended.document["already_done"] == 51
        assert bench.paid_minor == 300

    def test_ctrl_c_ends_it_with_a_sentence(self, bench: Bench) -> None:
        rows = [f"P,Q,0.01,CZK,{'halfway' if number == 20 else number}" for number in range(40)]
        with halfway(bench, *rows) as process:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=COMMAND_SECONDS_MAX)
        assert process.returncode == 130
        assert said.endswith("Interrupted.\nRun the same command again: nothing is sent twice.\n")
        assert "Traceback" not in said


class TestFindingTheSystem:
    def test_says_where_none_is_running_and_how_to_start_it(self, tmp_path: Path) -> None:
        file = tmp_path / "orders.csv"
        file.write_text(HEADER + "\n")
        ended = hishab("submit", file, "--data-dir", tmp_path / "data")
        assert (ended.exit_code, ended.out) == (3, "")
        assert ended.err == (
            f"Hishab is not running on {tmp_path / 'data'}. Start it with: hishab up --data-dir {tmp_path / 'data'}\n"
        )

    def test_goes_where_it_is_told_with_the_key_it_is_given(self, bench: Bench) -> None:
        bench.file.write_text(bench.named(f"{HEADER}\nP,Q,1.00,CZK,r\n"))
        submit = ("submit", bench.file, "--url", bench.system.url, "--json")
        without, wrong, right = (
            hishab(*submit, **({"HISHAB_API_KEY": key} if key else {}))
            for key in ("", "sk_wrong", bench.system.operator_key)
        )
        assert (without.exit_code, without.document["error"]["code"]) == (3, "not_running")
        assert "HISHAB_API_KEY" in without.document["error"]["message"]
        assert wrong.exit_code == 3, wrong
        assert "API key" in wrong.document["error"]["message"]
        assert right.exit_code == 0, right
        assert bench.paid_minor == 100


@pytest.mark.parametrize("name", ["wallets", "submit", "audit"])
def test_help_has_an_example_and_fits_a_terminal(name: str) -> None:
    ended = hishab(name, "--help", COLUMNS="80")
    assert ended.exit_code == 0
    assert f"Example: hishab {name}" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
