"""Decide whether to send a request again, and after how long. Pure: same input, same verdict."""

DELAY_SECONDS_FIRST = 0.1
DELAY_SECONDS_MAX = 5.0
"""A restarted part is back within seconds, and nobody should wait much longer than it took. Source: decision."""

RETRY_AFTER_SECONDS_MAX = 60.0
"""A server, or a proxy before it, that asks for more is not believed. Source: decision."""

DEFECT_ATTEMPTS_MAX = 5
"""How often a 500 is tried: a commit may stand behind it, but a defect seldom mends itself. Source: decision."""

KEY_IN_USE = "idempotency_key_in_use"
OUTCOME_UNKNOWN = "outcome_unknown"
LOCKED_OUT = "too_many_attempts"
"""Each further log-in makes the wait longer, so that people are asked and not the clock."""


def is_worth_repeating(status: int, *, code: str, attempt: int) -> bool:
    """Tell whether the same request, sent again, may well be answered otherwise.

    Args:
        status: The HTTP status of the answer.
        code: The `code` of its problem.
        attempt: How many times the request has been sent, from 1.
    """
    if status == 500:  # noqa: PLR2004 (the number is the name)
        return attempt < DEFECT_ATTEMPTS_MAX
    return (status in {429, 502, 503, 504} and code != LOCKED_OUT) or code == KEY_IN_USE


def may_have_acted(status: int, *, code: str) -> bool:
    """Tell whether a request that was answered so may have had its effect all the same.

    A refusal and a 503 that bears a code of Hishab's own say that this attempt wrote nothing, but for the two that say
    the contrary. Anything else of that class may be a proxy's, which knows nothing of what happened behind it.

    Args:
        status: The HTTP status of the answer.
        code: The `code` of its problem, empty if it has none.
    """
    if code in {KEY_IN_USE, OUTCOME_UNKNOWN}:
        return True
    return status >= 500 and not (status == 503 and code)  # noqa: PLR2004 (the numbers are the names)


def delay_seconds(attempt: int, *, retry_after: str, chance: float) -> float:
    """Return how long to wait before the next attempt.

    What the server asks for is waited in full, plus a little, so that all who were told the same do not come at once;
    otherwise twice as long each time, less a random part. Source: RFC 9110 10.2.3; "full jitter", AWS 2015.

    Args:
        attempt: How many times the request has been sent, from 1.
        retry_after: That header of the answer, or empty. One that is a date counts as absent.
        chance: A random number from 0 up to 1.
    """
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), RETRY_AFTER_SECONDS_MAX) + chance * DELAY_SECONDS_FIRST
    ceiling = min(DELAY_SECONDS_FIRST * 2 ** min(attempt, 10), DELAY_SECONDS_MAX)
    return ceiling * (0.2 + 0.8 * chance)
