"""Hold hishab.retry to what may be sent again, and to waiting neither too short nor too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hishab.retry import DEFECT_ATTEMPTS_MAX, DELAY_SECONDS_MAX, delay_seconds, is_worth_repeating


class TestIsWorthRepeating:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (429, "quota_exceeded"),
            (502, ""),
            (503, "queue_unavailable"),
            (503, "outcome_unknown"),
            (504, ""),
            (409, "idempotency_key_in_use"),
        ],
    )
    def test_what_passes_by_itself(self, status: int, code: str) -> None:
        assert is_worth_repeating(status, code=code, attempt=1000)

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, ""),
            (401, ""),
            (403, ""),
            (404, "wallet_not_found"),
            (409, "email_taken"),
            (422, "same_wallet"),
            (501, ""),
        ],
    )
    def test_what_will_be_answered_alike(self, status: int, code: str) -> None:
        assert not is_worth_repeating(status, code=code, attempt=1)

    def test_a_defect_is_tried_a_few_times(self) -> None:
        tries = [is_worth_repeating(500, code="internal", attempt=attempt) for attempt in range(1, 10)]
        assert tries == [attempt < DEFECT_ATTEMPTS_MAX for attempt in range(1, 10)]


class TestDelaySeconds:
    @given(attempt=st.integers(1, 100_000), chance=st.floats(0, 1, exclude_max=True))
    def test_grows_up_to_a_bound_and_is_never_nothing(self, attempt: int, chance: float) -> None:
        assert 0 < delay_seconds(attempt, retry_after="", chance=chance) <= DELAY_SECONDS_MAX
        assert delay_seconds(attempt + 1, retry_after="", chance=chance) >= delay_seconds(
            attempt, retry_after="", chance=chance
        )

    def test_waits_as_long_as_the_server_asks_and_not_all_at_once(self) -> None:
        early, late = (delay_seconds(1, retry_after="7", chance=chance) for chance in (0.0, 0.99))
        assert 7 <= early < late < 8

    def test_does_not_believe_an_hour(self) -> None:
        assert delay_seconds(1, retry_after="3600", chance=0.5) < 61

    @pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", "soon", "٣"])
    def test_falls_back_where_it_is_no_number_of_seconds(self, retry_after: str) -> None:
        assert delay_seconds(1, retry_after=retry_after, chance=0.5) <= DELAY_SECONDS_MAX
