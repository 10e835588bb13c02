"""Overdraw one wallet from four processes at once: what it holds can be spent, and not one unit more."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from secrets import token_hex
from typing import IO

import httpx2
import pytest

from tests.callers import audited, ended, operators_wallet
from tests.running_system import System

PROCESSES = 4
DEBITS_EACH = 25
HELD_MINOR = 60
END_SECONDS_MAX = 60.0


@pytest.mark.parametrize("time", ["first", "second", "third", "fourth", "fifth"])
def test_a_hundred_debits_of_one_from_a_wallet_that_holds_sixty(
    system: System, operator: httpx2.Client, time: str
) -> None:
    source, destination = operators_wallet(operator, holding=HELD_MINOR), operators_wallet(operator)

    answers = debit_at_once(system, source=source, destination=destination)

    assert Counter(status for status, _ in answers) == {202: PROCESSES * DEBITS_EACH}
    transfers = [ended(operator, transfer_id) for _, transfer_id in answers]
    endings = Counter(transfer["failure"]["code"] if transfer["failure"] else "succeeded" for transfer in transfers)
    assert endings == {"succeeded": 60, "insufficient_funds": 40}
    assert {t["status"] for t in transfers} == {"succeeded", "failed"}
    assert [balance_of(operator, wallet_id) for wallet_id in (source, destination)] == [0, HELD_MINOR]
    assert balances_after_each_entry(operator, source) == [*range(HELD_MINOR), HELD_MINOR]
    assert audited(operator)["violations"] == []


def debit_at_once(system: System, *, source: str, destination: str) -> list[tuple[int, str]]:
    """Send all debits in the same moment; give the status and the transfer that each was answered with."""
    task = {
        "url": system.url,
        "headers": {"Authorization": f"Bearer {system.operator_key}"},
        "body": {"source_wallet_id": source, "destination_wallet_id": destination, "amount": 1, "currency": "CZK"},
    }
    with ExitStack() as stack:
        processes = [stack.enter_context(started()) for _ in range(PROCESSES)]
        for process in processes:
            say(process.stdin, json.dumps({**task, "keys": [token_hex(8) for _ in range(DEBITS_EACH)]}))
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            say(process.stdin, "go")
        printed = [process.communicate(timeout=END_SECONDS_MAX)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [(status, transfer_id) for answers in printed for status, transfer_id in json.loads(answers)]


def started() -> subprocess.Popen[str]:
    """Start one of the debiting processes."""
    command = [sys.executable, "-m", "tests.journeys.debiting_process"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(stdin: IO[str] | None, line: str) -> None:
    assert stdin is not None
    stdin.write(f"{line}\n")
    stdin.flush()


def balance_of(http: httpx2.Client, wallet_id: str) -> int:
    return http.get(f"/v1/wallets/{wallet_id}").json()["balance"]


def balances_after_each_entry(http: httpx2.Client, wallet_id: str) -> list[int]:
    """List what a wallet held after each of its entries, newest first."""
    entries = http.get(f"/v1/wallets/{wallet_id}/entries", params={"limit": 100}).json()["data"]
    return [entry["balance_after"] for entry in entries]
