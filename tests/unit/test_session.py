"""Is a refresh token good for the next one, or does it tell that two have it?"""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.session import GRACE, REFRESH_LIFETIME, RefreshToken, Shown, show

AT = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def token(
    *,
    used_ago: timedelta | None = None,
    ends_in: timedelta = REFRESH_LIFETIME,
    is_revoked: bool = False,
    has_successor: bool = False,
    is_successor_used: bool = False,
) -> RefreshToken:
    return RefreshToken(
        used_at=None if used_ago is None else AT - used_ago,
        ends_at=AT + ends_in,
        is_revoked=is_revoked,
        has_successor=has_successor,
        is_successor_used=is_successor_used,
    )


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (token(), Shown.ROTATED),
        (token(ends_in=-MOMENT), Shown.REFUSED),
        (token(is_revoked=True), Shown.REFUSED),
        (token(used_ago=GRACE, has_successor=True), Shown.ROTATED),
        (token(used_ago=GRACE + MOMENT, has_successor=True), Shown.REUSED),
        (token(used_ago=MOMENT, has_successor=True, is_successor_used=True), Shown.REUSED),
        (token(has_successor=True), Shown.REUSED),
        (token(used_ago=MOMENT, has_successor=True, is_successor_used=True, is_revoked=True), Shown.REFUSED),
    ],
    ids=["new", "expired", "revoked", "lost", "used", "successor used", "superseded", "used of a revoked session"],
)
def test_becomes_of_it_what_it_tells(shown: RefreshToken, expected: Shown) -> None:
    assert show(shown, at=AT) is expected
