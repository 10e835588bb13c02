"""Lanes are added while nobody accepts and nothing waits; then each wallet's transfers stay in order all the same."""

import pytest

from shared.database.connections import INTAKE_NAME, WORKER, connect
from shared.database.lane_count import LanesStayError, change, count_lanes
from shared.domain.lane import LANES_MAX, lane_of
from tests.ledger import Ledger


def test_lanes_are_added_and_worked(ledger: Ledger) -> None:
    wallet_id, other_id = ledger.wallet(holding=10), ledger.wallet()
    assert change(ledger.connection, count=4) == 1
    assert count_lanes(ledger.connection) == 4
    requests = [ledger.request(wallet_id, other_id, amount) for amount in (1, 2, 3)]
    ledger.accept(requests, lane_count=4)
    ledger.drain(lane=lane_of(wallet_id, lane_count=4))
    assert ledger.order_of_debits(wallet_id) == [request.transfer_id for request in requests]
    assert ledger.value("SELECT count(*) FROM queue") == 0
    assert ledger.violations() == []


def test_time_goes_on_in_a_new_lane(ledger: Ledger) -> None:
    ledger.wallet(holding=10)
    ledger.connection.execute("UPDATE lanes SET last_applied_at = now() + interval '1 hour' WHERE lane = 1")
    change(ledger.connection, count=2)
    assert ledger.value("SELECT count(DISTINCT last_applied_at) FROM lanes WHERE lane > 0") == 1


def test_the_same_count_changes_nothing(ledger: Ledger) -> None:
    assert change(ledger.connection, count=1) == 1
    assert count_lanes(ledger.connection) == 1


def test_not_while_something_waits(ledger: Ledger) -> None:
    source_id, destination_id = ledger.wallet(holding=10), ledger.wallet()
    ledger.accept_one(source_id, destination_id, 1)
    with pytest.raises(LanesStayError, match="1 transfers are queued"):
        change(ledger.connection, count=2)
    assert count_lanes(ledger.connection) == 1


def test_not_while_the_api_runs(ledger: Ledger) -> None:
    with (
        connect(ledger.database_url, application_name=INTAKE_NAME, timeouts=WORKER),
        pytest.raises(LanesStayError, match="The API runs"),
    ):
        change(ledger.connection, count=2)
    assert count_lanes(ledger.connection) == 1


def test_none_can_go(ledger: Ledger) -> None:
    change(ledger.connection, count=2)
    with pytest.raises(LanesStayError, match="none can go"):
        change(ledger.connection, count=1)
    with pytest.raises(LanesStayError, match=f"{LANES_MAX} lanes at most"):
        change(ledger.connection, count=LANES_MAX + 1)
    assert count_lanes(ledger.connection) == 2
