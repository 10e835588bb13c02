"""Give apply any transfers between any wallets: it decides as a clerk with a pencil would, and money only moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.apply import Applied, Entry, QueuedTransfer, WalletState, apply
from tests.clerk import Balance, Clerk

AMOUNT_MAX: Final = 10**12
LIMIT: Final = 10**18
WALLETS: Final = tuple(UUID(int=n) for n in range(1, 6))

Wallets = Mapping[UUID, WalletState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Transfers that wait, and the wallets they touch."""

    transfers: Sequence[QueuedTransfer]
    wallets: Wallets


def wallet_states() -> st.SearchStrategy[WalletState]:
    """Draw wallets that hold a little, or nearly too much; some may be overdrawn, some issue money."""
    small, near_limit = st.integers(0, 30), st.integers(LIMIT - 30, LIMIT)
    people = st.builds(WalletState, small | near_limit, st.just(0), st.integers(0, 5))
    overdrawn = st.builds(WalletState, st.integers(-10, 10), st.just(-10), st.integers(0, 5))
    issuance = st.builds(
        WalletState, small.map(int.__neg__) | near_limit.map(int.__neg__), st.none(), st.integers(0, 5)
    )
    return people | overdrawn | issuance


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a few wallets and up to forty transfers between them, so that they meet often."""
    wallet_ids = WALLETS[: draw(st.integers(2, len(WALLETS)))]
    wallets = {wallet_id: draw(wallet_states()) for wallet_id in wallet_ids}
    between = st.permutations(wallet_ids).map(lambda shuffled: (shuffled[0], shuffled[1]))
    amounts = st.integers(1, 20) | st.sampled_from([AMOUNT_MAX - 1, AMOUNT_MAX])
    moves = draw(st.lists(st.tuples(between, amounts), max_size=40))
    transfers = [
        QueuedTransfer(UUID(int=1_000 + n), source, destination, amount)
        for n, ((source, destination), amount) in enumerate(moves)
    ]
    return Case(transfers=transfers, wallets=wallets)


def decided(case: Case) -> Applied:
    return apply(case.transfers, wallets=case.wallets)


def entries_of(wallet_id: UUID, applied: Applied) -> list[Entry]:
    return [entry for entry in applied.entries if entry.wallet_id == wallet_id]


def after(wallets: Wallets, applied: Applied) -> Wallets:
    return {**wallets, **applied.changed_wallets}


AT_EVERY_BORDER: Final = Case(
    transfers=[
        QueuedTransfer(UUID(int=1_000), WALLETS[0], WALLETS[1], 10),
        QueuedTransfer(UUID(int=1_001), WALLETS[0], WALLETS[1], 1),
        QueuedTransfer(UUID(int=1_002), WALLETS[2], WALLETS[0], 1),
        QueuedTransfer(UUID(int=1_003), WALLETS[2], WALLETS[0], 1),
    ],
    wallets={
        WALLETS[0]: WalletState(10, 0, 3),
        WALLETS[1]: WalletState(LIMIT - 10, 0, 0),
        WALLETS[2]: WalletState(1 - LIMIT, None, 7),
    },
)


class TestApply:
    @given(case=cases())
    @example(case=AT_EVERY_BORDER)
    def test_decides_as_a_clerk_would(self, case: Case) -> None:
        applied = decided(case)
        clerk = Clerk(opening={w: Balance(state.balance_minor, state.floor_minor) for w, state in case.wallets.items()})
        said = [clerk.apply(source, destination, amount) for _, source, destination, amount in case.transfers]
        assert [outcome.transfer_id for outcome in applied.outcomes] == [t.transfer_id for t in case.transfers]
        assert [outcome.failure_code for outcome in applied.outcomes] == said
        for wallet_id in case.wallets:
            entries = entries_of(wallet_id, applied)
            page = clerk.pages.get(wallet_id, [])
            assert [(entry.amount_minor, entry.balance_after_minor) for entry in entries] == page

    @given(case=cases())
    def test_conserves_money(self, case: Case) -> None:
        applied = decided(case)
        for outcome in applied.outcomes:
            amounts = [e.amount_minor for e in applied.entries if e.transfer_id == outcome.transfer_id]
            assert len(amounts) == (2 if outcome.failure_code is None else 0)
            assert sum(amounts) == 0
        before, now = (
            sum(state.balance_minor for state in wallets.values())
            for wallets in (case.wallets, after(case.wallets, applied))
        )
        assert before == now

    @given(case=cases())
    def test_goes_below_no_floor_and_above_no_limit(self, case: Case) -> None:
        for entry in decided(case).entries:
            assert -LIMIT <= entry.balance_after_minor <= LIMIT
            least = case.wallets[entry.wallet_id].floor_minor
            assert least is None or entry.balance_after_minor >= least

    @given(case=cases())
    def test_numbers_entries_without_gaps_and_says_what_each_wallet_has_come_to(self, case: Case) -> None:
        applied = decided(case)
        for wallet_id, state in case.wallets.items():
            entries = entries_of(wallet_id, applied)
            last_number = state.entry_count + len(entries)
            assert [entry.number for entry in entries] == list(range(state.entry_count + 1, last_number + 1))
            balance = entries[-1].balance_after_minor if entries else state.balance_minor
            assert (wallet_id in applied.changed_wallets) == bool(entries)
            assert after(case.wallets, applied)[wallet_id] == WalletState(balance, state.floor_minor, last_number)

    @given(case=cases(), data=st.data())
    def test_does_the_same_in_two_batches_as_in_one(self, case: Case, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(case.transfers)))
        first = apply(case.transfers[:cut], wallets=case.wallets)
        second = apply(case.transfers[cut:], wallets=after(case.wallets, first))
        together = decided(case)
        assert [*first.outcomes, *second.outcomes] == together.outcomes
        assert [*first.entries, *second.entries] == together.entries
        assert after(after(case.wallets, first), second) == after(case.wallets, together)
