"""Pay the real orders of a Czech bank's customers, while the parts of the system and the command itself are killed."""

import csv
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.chaos.relay import holding_back
from tests.eventually import eventually
from tests.journeys.command_line import at, balances, command, hishab
from tests.running_system import System

ORDERS_FILE = Path(__file__).parents[2].parent / "shared" / "data" / "berka" / "payment_orders.csv"
OPENED_WITH_MINOR = 100_000
RUN_SECONDS_MAX = 600

LATE_FROM = 5_000
LATE = " (late)"

pytestmark = [
    pytest.mark.skipif(not ORDERS_FILE.exists(), reason="the real orders are not beside this repository"),
    pytest.mark.timeout(RUN_SECONDS_MAX),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A payment of the bank's file. Account and destination never share a name, so no order pays for another."""

    account: str
    destination: str
    amount: str
    purpose: str

    @property
    def amount_minor(self) -> int:
        return int(Decimal(self.amount) * 100)


@pytest.fixture(scope="module")
def orders() -> list[Order]:
    with ORDERS_FILE.open(newline="", encoding="utf-8") as file:
        return [
            Order(
                account=row["account_id"],
                destination=f"{row['to_bank']}-{row['to_account']}",
                amount=row["amount"],
                purpose=row["purpose"],
            )
            for row in csv.DictReader(file)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the file alone says: each account spends down, in file order, what it was opened with."""

    statuses: Sequence[str]
    balances: dict[str, int]


def expected_of(orders: Sequence[Order]) -> Expected:
    held = {order.account: OPENED_WITH_MINOR for order in orders} | {order.destination: 0 for order in orders}
    statuses: list[str] = []
    for order in orders:
        fits = order.amount_minor <= held[order.account]
        if fits:
            held[order.account] -= order.amount_minor
            held[order.destination] += order.amount_minor
        statuses.append("succeeded" if fits else "failed")
    return Expected(statuses=statuses, balances=held)


def test_every_order_is_paid_once_and_to_the_unit(system: System, tmp_path: Path, orders: list[Order]) -> None:
    expected = expected_of(orders)
    assert (len(orders), len(expected.balances)) == (6_471, 3_758 + 6_446)
    open_wallets(system, tmp_path / "accounts.csv", orders=orders)
    file = write_payments(tmp_path / "payment_orders.csv", orders=orders)

    submit_while_all_is_killed_once(system, file)
    finished = hishab("submit", file, *at(system))

    failed = expected.statuses.count("failed")
    assert finished.exit_code == 1, finished
    assert finished.document["failures"] == {"insufficient_funds": failed}
    assert (finished.document["rows"], finished.document["succeeded"]) == (6_471, 6_471 - failed)
    assert [row["status"] for row in results_of(file)] == list(expected.statuses)
    assert balances(system, *expected.balances) == expected.balances

    results = results_file(file).read_bytes()
    again = hishab("submit", file, *at(system))
    assert (again.exit_code, again.document["already_done"]) == (1, 6_471), again
    assert {**again.document, "already_done": 0} == {**finished.document, "already_done": 0}
    assert results_file(file).read_bytes() == results
    assert balances(system, *expected.balances) == expected.balances
    assert hishab("audit", *at(system)).exit_code == 0


def open_wallets(system: System, file: Path, *, orders: Sequence[Order]) -> None:
    balances = {order.account: "1000.00" for order in orders} | {order.destination: "0" for order in orders}
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["external_id", "currency", "balance"])
        writer.writerows([name, "CZK", balance] for name, balance in balances.items())
    ended = hishab("wallets", file, *at(system))
    assert ended.exit_code == 0, ended
    assert (ended.document["created"], ended.document["funded"]) == (3_758 + 6_446, 3_758)


def write_payments(file: Path, *, orders: Sequence[Order]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["source", "destination", "amount", "currency", "reference"])
        for number, order in enumerate(orders):
            reference = f"{order.purpose}{LATE}" if number >= LATE_FROM else order.purpose
            writer.writerow([order.account, order.destination, order.amount, "CZK", reference])
    return file


def submit_while_all_is_killed_once(system: System, file: Path) -> None:
    """Begin to send the file; in the middle of it kill the lanes, the API, the broker, at last the command itself.

    It does not hear of any late row, and so cannot be done before.
    """
    with holding_back(system.url, requests=LATE.encode()) as (relay, url):
        assert relay.trap is not None
        relay.trap.left = 1_000_000
        surroundings = {**os.environ, "HISHAB_API_KEY": system.operator_key}
        arguments = command("submit", file, "--url", url)
        with subprocess.Popen(arguments, env=surroundings, stdout=subprocess.DEVNULL) as submitting:
            for part, accepted in (("lanes", 1_000), ("api", 2_000), ("broker", 3_000)):
                await_accepted(file, rows=accepted)
                system.await_restart(part, of=system.kill(part))
            await_accepted(file, rows=4_000)
            assert submitting.poll() is None, "it was done before it could be killed"
            submitting.kill()
    assert results_file(file).read_bytes().count(b"\n") <= LATE_FROM + 1


def await_accepted(file: Path, *, rows: int) -> None:
    results = results_file(file)
    eventually(
        lambda: results.exists() and results.read_bytes().count(b"\n") > rows,
        seconds_max=RUN_SECONDS_MAX,
        otherwise=lambda: f"{rows} rows were not accepted",
    )


def results_file(file: Path) -> Path:
    return file.with_suffix(".results.csv")


def results_of(file: Path) -> list[dict[str, str]]:
    with results_file(file).open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))
