"""Is the history that the bench fills tables with one that could have happened?"""

import pytest

from tests.ledger import Ledger
from tests.load.audit import audited
from tests.load.growth import fill_ring


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_audit_holds_over_a_filled_history(ledger: Ledger, count: int) -> None:
    wallets = [ledger.wallet(holding=5) for _ in range(count)]
    for cycles in (3, 1):
        assert fill_ring(ledger.database_url, [str(wallet) for wallet in wallets], cycles=cycles) == cycles * count
    assert ledger.violations() == []
    assert [ledger.balance(wallet) for wallet in wallets] == [5] * count
    assert ledger.value("SELECT count(*) FROM entries WHERE wallet_id = %s", wallets[0]) == 1 + 2 * (3 + 1)


def test_a_filled_history_is_found_faultless_and_goes_on(ledger: Ledger) -> None:
    wallets = [ledger.wallet(holding=5) for _ in range(3)]
    with audited(ledger.database_url) as found:
        fill_ring(ledger.database_url, [str(wallet) for wallet in wallets], cycles=2)
        next_id = ledger.accept_one(wallets[0], wallets[1], 5)
        refused_id = ledger.accept_one(wallets[0], wallets[1], 1)
        ledger.drain()
    assert (ledger.ending(next_id), ledger.ending(refused_id)) == ("succeeded", "insufficient_funds")
    assert (found.faults.count, found.faults.checked, found.faults.refused) == (0, 8, 1)


def test_what_is_missing_in_a_ledger_is_found(ledger: Ledger) -> None:
    source, destination = ledger.wallet(holding=5), ledger.wallet()
    with audited(ledger.database_url) as found:
        ledger.accept_one(source, destination, 5)
        ledger.drain()
        ledger.connection.execute("UPDATE wallets SET balance = balance + 1 WHERE id = %s", (destination,))
        ledger.accept_one(source, destination, 5)
    assert (found.faults.lost, found.faults.violations) == (1, 2), found.faults.named
