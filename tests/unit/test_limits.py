"""Hold the limits of money together: what the edge lets in, what the command line sends, and what BIGINT holds."""

import hishab.money
from shared.domain.money import AMOUNT_MINOR_MAX, BALANCE_MINOR_MAX

BIGINT_MAX = 2**63 - 1


def test_the_command_line_sends_no_more_than_the_server_takes() -> None:
    assert hishab.money.AMOUNT_MINOR_MAX == AMOUNT_MINOR_MAX == 10**12


def test_no_balance_can_overflow() -> None:
    """A balance at its limit, and one more transfer before that is found out."""
    assert BALANCE_MINOR_MAX == 10**18
    assert BALANCE_MINOR_MAX + AMOUNT_MINOR_MAX < BIGINT_MAX
