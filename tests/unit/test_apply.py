"""Hold apply to its verdicts, one by one: what moves, what fails and why, and where exactly the border runs."""

from uuid import UUID

import pytest

from shared.domain.apply import Applied, Entry, Outcome, QueuedTransfer, WalletState, apply
from shared.domain.money import BALANCE_MINOR_MAX
from shared.domain.transfer import FailureCode

PAYER, PAYEE, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)
FIRST, SECOND, LAST = UUID(int=11), UUID(int=12), UUID(int=13)


def holding(balance_minor: int, *, floor_minor: int | None = 0, entry_count: int = 0) -> WalletState:
    return WalletState(balance_minor, floor_minor, entry_count)


def pay(amount_minor: int, *, payer: WalletState, payee: WalletState) -> Applied:
    """Apply one transfer from the payer to the payee."""
    return apply([QueuedTransfer(FIRST, PAYER, PAYEE, amount_minor)], wallets={PAYER: payer, PAYEE: payee})


def failure(applied: Applied) -> FailureCode | None:
    (outcome,) = applied.outcomes
    return outcome.failure_code


class TestOneTransfer:
    def test_moves_the_amount_and_numbers_both_entries(self) -> None:
        applied = pay(30, payer=holding(100, entry_count=7), payee=holding(5, entry_count=2))
        assert applied == Applied(
            outcomes=[Outcome(FIRST, None)],
            entries=[Entry(PAYER, 8, FIRST, -30, 70), Entry(PAYEE, 3, FIRST, 30, 35)],
            changed_wallets={PAYER: holding(70, entry_count=8), PAYEE: holding(35, entry_count=3)},
        )

    def test_may_take_the_last_unit(self) -> None:
        applied = pay(100, payer=holding(100), payee=holding(0))
        assert failure(applied) is None
        assert applied.changed_wallets[PAYER].balance_minor == 0

    def test_is_refused_when_one_minor_unit_short(self) -> None:
        applied = pay(101, payer=holding(100), payee=holding(0))
        assert applied == Applied(
            outcomes=[Outcome(FIRST, FailureCode.INSUFFICIENT_FUNDS)], entries=[], changed_wallets={}
        )

    @pytest.mark.parametrize(
        ("balance", "floor", "amount", "code"),
        [
            (0, 0, 1, FailureCode.INSUFFICIENT_FUNDS),
            (10, 5, 5, None),
            (10, 5, 6, FailureCode.INSUFFICIENT_FUNDS),
            (0, -50, 50, None),
            (0, -50, 51, FailureCode.INSUFFICIENT_FUNDS),
            (-50, -50, 1, FailureCode.INSUFFICIENT_FUNDS),
            (0, None, 10**12, None),
            (-(BALANCE_MINOR_MAX - 1), None, 1, None),
            (-BALANCE_MINOR_MAX, None, 1, FailureCode.LIMIT_EXCEEDED),
        ],
    )
    def test_goes_down_to_the_floor_and_no_further(
        self, balance: int, floor: int | None, amount: int, code: FailureCode | None
    ) -> None:
        assert failure(pay(amount, payer=holding(balance, floor_minor=floor), payee=holding(0))) is code

    @pytest.mark.parametrize(
        ("held", "code"), [(BALANCE_MINOR_MAX - 10, None), (BALANCE_MINOR_MAX - 9, FailureCode.LIMIT_EXCEEDED)]
    )
    def test_goes_up_to_the_limit_and_no_further(self, held: int, code: FailureCode | None) -> None:
        assert failure(pay(10, payer=holding(10), payee=holding(held))) is code

    def test_says_that_funds_are_short_where_the_limit_would_be_passed_too(self) -> None:
        applied = pay(10, payer=holding(9), payee=holding(BALANCE_MINOR_MAX))
        assert failure(applied) is FailureCode.INSUFFICIENT_FUNDS

    def test_puts_money_back_into_the_wallet_that_issued_it(self) -> None:
        applied = pay(40, payer=holding(40), payee=holding(-40, floor_minor=None))
        assert {state.balance_minor for state in applied.changed_wallets.values()} == {0}


class TestManyTransfers:
    def test_are_applied_in_the_order_given(self) -> None:
        applied = apply(
            [QueuedTransfer(FIRST, PAYER, PAYEE, 60), QueuedTransfer(SECOND, PAYER, THIRD, 60)],
            wallets={PAYER: holding(100), PAYEE: holding(0), THIRD: holding(0)},
        )
        assert applied.outcomes == [Outcome(FIRST, None), Outcome(SECOND, FailureCode.INSUFFICIENT_FUNDS)]
        assert THIRD not in applied.changed_wallets

    def test_spend_what_an_earlier_one_brought(self) -> None:
        """G4: a credit accepted earlier counts."""
        applied = apply(
            [QueuedTransfer(FIRST, PAYER, PAYEE, 50), QueuedTransfer(SECOND, PAYEE, THIRD, 50)],
            wallets={PAYER: holding(50), PAYEE: holding(0), THIRD: holding(0)},
        )
        assert [outcome.failure_code for outcome in applied.outcomes] == [None, None]
        assert applied.changed_wallets[PAYEE] == holding(0, entry_count=2)

    def test_do_not_spend_what_only_a_later_one_brings(self) -> None:
        applied = apply(
            [QueuedTransfer(FIRST, PAYEE, THIRD, 50), QueuedTransfer(SECOND, PAYER, PAYEE, 50)],
            wallets={PAYER: holding(50), PAYEE: holding(0), THIRD: holding(0)},
        )
        assert [outcome.failure_code for outcome in applied.outcomes] == [FailureCode.INSUFFICIENT_FUNDS, None]

    def test_fail_alone(self) -> None:
        """One that fails between two others leaves no gap in anybody's numbers."""
        applied = apply(
            [QueuedTransfer(id_, PAYER, PAYEE, amount) for id_, amount in ((FIRST, 1), (SECOND, 1_000), (LAST, 2))],
            wallets={PAYER: holding(10), PAYEE: holding(0)},
        )
        assert [outcome.failure_code is None for outcome in applied.outcomes] == [True, False, True]
        assert [(e.number, e.amount_minor, e.balance_after_minor) for e in applied.entries if e.wallet_id == PAYER] == [
            (1, -1, 9),
            (2, -2, 7),
        ]

    def test_may_be_none(self) -> None:
        assert apply([], wallets={}) == Applied(outcomes=[], entries=[], changed_wallets={})

    def test_leave_what_they_were_given_as_it_was(self) -> None:
        wallets = {PAYER: holding(10), PAYEE: holding(0)}
        apply([QueuedTransfer(FIRST, PAYER, PAYEE, 10)], wallets=wallets)
        assert wallets == {PAYER: holding(10), PAYEE: holding(0)}
