"""Hold addresses to being counted as what one subscriber has."""

import pytest
from starlette.requests import Request

from api.parts import Parts
from api.quotas import Quotas
from api.sign_ins import admit
from shared.domain.errors import TooManyAttempts


class _Counted:
    """The one part that is looked at."""

    def __init__(self) -> None:
        self.address_quotas = Quotas(requests=1, window_seconds=60)


def come_from(*hosts: str) -> None:
    parts: Parts = _Counted()  # pyright: ignore[reportAssignmentType] (of all parts only the quotas are asked)
    for host in hosts:
        admit(Request({"type": "http", "client": (host, 1)}), parts=parts)


@pytest.mark.parametrize(
    "pair", [("10.0.0.1", "10.0.0.2"), ("::ffff:1.2.3.4", "::ffff:9.9.9.9"), ("2001:db8:0:1::1", "2001:db8:0:2::1")]
)
def test_different_subscribers_are_counted_apart(pair: tuple[str, str]) -> None:
    come_from(*pair)


@pytest.mark.parametrize(
    "pair", [("10.0.0.1", "10.0.0.1"), ("::ffff:1.2.3.4", "1.2.3.4"), ("2001:db8::1", "2001:db8::ffff:2")]
)
def test_one_subscriber_is_counted_once(pair: tuple[str, str]) -> None:
    with pytest.raises(TooManyAttempts):
        come_from(*pair)
