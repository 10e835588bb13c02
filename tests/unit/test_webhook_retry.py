"""When is a webhook that failed tried again?"""

from datetime import UTC, datetime

import pytest

from shared.domain.retry import Schedule, parse_retry_after, wait_seconds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEDULE = Schedule(waits_seconds=(5.0, 300.0, 1_800.0), overloaded_seconds=60.0)
HALFWAY = 0.5


@pytest.mark.parametrize(
    ("attempts", "overloaded", "retry_after", "chance", "expected"),
    [
        (1, False, None, HALFWAY, 5),
        (2, False, None, HALFWAY, 300),
        (3, False, None, HALFWAY, 1_800),
        (4, False, None, HALFWAY, None),
        (9, True, 60, HALFWAY, None),
        (2, False, None, 0.0, 240),
        (2, False, None, 0.999_999, 360),
        # Retry-After stretches the wait up to twice the plan, and never shortens it.
        (2, False, 500, HALFWAY, 500),
        (2, False, 100_000, HALFWAY, 600),
        (2, False, 1, HALFWAY, 300),
        # 429 and time-outs wait at least a minute, by the lowest of chances too.
        (1, True, None, 0.0, 60),
        (1, True, None, HALFWAY, 60),
        (1, True, 90, HALFWAY, 90),
        (1, True, 100_000, HALFWAY, 120),
        (2, True, None, HALFWAY, 300),
    ],
)
def test_waits(
    attempts: int, *, overloaded: bool, retry_after: float | None, chance: float, expected: float | None
) -> None:
    waited = wait_seconds(
        attempts,
        schedule=SCHEDULE,
        overloaded=overloaded,
        retry_after_seconds=retry_after,
        chance=chance,
    )
    assert waited == (None if expected is None else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0),
        ("Fri, 02 Jan 2026 03:05:05", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 5_000, None),
        ("Fri, 99 Jan 99999999999 03:05:05 GMT", None),
        ("soon", None),
        ("", None),
    ],
)
def test_reads_retry_after(header: str | None, expected: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == expected
