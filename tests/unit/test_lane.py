"""Hold lanes to this: all debits of a wallet share one, in every process and for ever."""

import subprocess
import sys
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.lane import lane_of

WALLET_ID = UUID("0198c0de-1234-7abc-8def-0123456789ab")


class TestLaneOf:
    @pytest.mark.parametrize(("lane_count", "lane"), [(1, 1), (2, 2), (3, 2), (7, 1), (64, 44)])
    def test_never_changes(self, lane_count: int, lane: int) -> None:
        """Rows in the queue were given these; another rule would let one wallet's debits overtake each other."""
        assert lane_of(WALLET_ID, lane_count=lane_count) == lane

    @given(wallet_id=st.uuids(), lane_count=st.integers(1, 64))
    def test_is_one_of_those_that_are_worked(self, wallet_id: UUID, lane_count: int) -> None:
        assert 1 <= lane_of(wallet_id, lane_count=lane_count) <= lane_count

    def test_is_the_same_in_a_process_with_another_salt(self) -> None:
        program = (
            "from uuid import UUID; from shared.domain.lane import lane_of; "
            f"print(lane_of(UUID('{WALLET_ID}'), lane_count=64))"
        )
        printed = {
            subprocess.run(
                [sys.executable, "-c", program], env={"PYTHONHASHSEED": salt}, stdout=subprocess.PIPE, check=True
            ).stdout
            for salt in ("1", "2")
        }
        assert printed == {b"44\n"}

    def test_spreads_wallets_over_all_lanes(self) -> None:
        lanes = Counter(lane_of(UUID(int=WALLET_ID.int + n), lane_count=8) for n in range(8_000))
        assert lanes.keys() == set(range(1, 9))
        assert min(lanes.values()) > 500
