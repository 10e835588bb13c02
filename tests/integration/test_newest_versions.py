"""Are wallets and lanes found at once behind old versions that an open snapshot keeps, and whoever changes them?"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
import pytest

from shared.database.acceptance import RESOLVE
from shared.database.connections import AUDIT, WORKER, connect
from shared.database.lane_count import change
from shared.database.ledger import KEEP_LANE, LOCK_WALLETS, READ_HEAD, UPDATE_WALLETS, lock_wallets
from shared.database.looks import HAS_WORK
from shared.domain.lane import lane_of
from shared.domain.owner import OPERATORS_OWNER_ID
from shared.identifiers import new_id
from tests.eventually import eventually
from tests.ledger import CURRENCY, DRAIN_SECONDS_MAX, Ledger
from tests.query_plans import nodes
from worker.lanes.apply import Holder, drain

SOMEBODY_WAITS: LiteralString = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"


ASKED: Final[dict[str, list[Any]]] = {
    "owner_id": [OPERATORS_OWNER_ID],
    "idempotency_key": ["key"],
    "source_wallet_id": [UUID(int=1)],
    "destination_wallet_id": [UUID(int=2)],
    "destination_email": [None],
    "currency": [CURRENCY],
}
FINDING: Final[dict[str, tuple[LiteralString, dict[str, Any], str]]] = {
    "to lock wallets": (LOCK_WALLETS, {"ids": [UUID(int=1), UUID(int=2)]}, "wallets"),
    "to take a lane": (KEEP_LANE, {"lane": 1}, "lanes"),
    "to read a head": (READ_HEAD, {"lane": 1, "limit": 1_000}, "lanes"),
    "to see whether there is work": (HAS_WORK, {"lane": 1}, "lanes"),
    "to accept": (RESOLVE, ASKED, "wallets"),
}


def steps(connection: psycopg.Connection, statement: LiteralString, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """List the steps that a statement takes."""
    ((plan,),) = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), parameters).fetchall()
    return [dict(node) for node in nodes(plan[0]["Plan"])]


@pytest.mark.parametrize(("statement", "parameters", "table"), FINDING.values(), ids=FINDING)
def test_an_index_is_read_from_where_the_newest_version_is(
    ledger: Ledger, statement: LiteralString, parameters: dict[str, Any], table: str
) -> None:
    scans = [step for step in steps(ledger.connection, statement, parameters) if step.get("Relation Name") == table]
    assert {scan.get("Scan Direction") for scan in scans} == {"Backward"}


def test_wallets_that_are_locked_are_written_without_looking_for_them(ledger: Ledger) -> None:
    changed = {"places": ["(0,1)", "(0,2)"], "balances": [1, 2], "entry_counts": [1, 2]}
    kinds = {step["Node Type"] for step in steps(ledger.connection, UPDATE_WALLETS, changed)}
    assert kinds == {"ModifyTable", "Nested Loop", "Function Scan", "Tid Scan"}


def test_whoever_waited_for_a_wallet_holds_its_newest_version(ledger: Ledger) -> None:
    wallet_id = ledger.wallet()
    with (
        connect(ledger.database_url, application_name="test", timeouts=AUDIT) as other,
        ThreadPoolExecutor(1) as threads,
        ledger.connection.transaction(),
    ):
        with other.transaction():
            lock_wallets(other, [wallet_id])
            other.execute("UPDATE wallets SET balance = 7, entry_count = 1 WHERE id = %s", (wallet_id,))
            waiting = threads.submit(lock_wallets, ledger.connection, [wallet_id])
            eventually(lambda: other.execute(SOMEBODY_WAITS).fetchone() == (True,))
        locked = waiting.result()
        assert locked.states[wallet_id].balance_minor == 7
        changed = {"places": [locked.places[wallet_id]], "balances": [8], "entry_counts": [2]}
        assert ledger.connection.execute(UPDATE_WALLETS, changed).rowcount == 1
    assert ledger.balance(wallet_id) == 8


def test_two_lanes_share_wallets(ledger: Ledger) -> None:
    ids = [ledger.wallet(holding=1_000) for _ in range(6)]
    change(ledger.connection, count=2)
    requests = [ledger.request(ids[n % 6], ids[(n + 1 + n // 6 % 5) % 6], 1) for n in range(600)]
    assert {lane_of(wallet_id, lane_count=2) for wallet_id in ids} == {1, 2}
    ledger.accept(requests, lane_count=2)

    def work(lane: int) -> int:
        with connect(ledger.database_url, application_name="test", timeouts=WORKER) as connection:
            # Many batches, so that the lanes meet often.
            holder = Holder(id=new_id(), limit=2)
            return drain(connection, lane=lane, holder=holder, seconds_max=DRAIN_SECONDS_MAX).applied

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(work, (1, 2))) == len(requests)
    assert ledger.violations() == []
