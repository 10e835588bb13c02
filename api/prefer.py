"""Read what a caller prefers (RFC 7240): for how many seconds an answer may be held back."""

import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.request import parse_http_list

from fastapi import Header

WAIT_SECONDS_MAX: Final = 25
"""Below the 30 seconds after which many proxies and clients give up."""

Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N` holds the answer until there is something new to tell, or for N seconds, at most "
        f"{WAIT_SECONDS_MAX}. What is not understood is ignored (RFC 7240).",
        examples=["wait=20"],
    ),
]

VARY: Final = {"Vary": "Prefer"}

_SECONDS: Final = re.compile(r'0*([0-9]+)|"0*([0-9]+)"')
_DIGITS_MAX: Final = len(str(WAIT_SECONDS_MAX))


def wait_seconds(prefer: str | None) -> int | None:
    """Say for how long a caller would wait; None without a `wait` that makes sense. Of several the first counts."""
    for preference in parse_http_list(prefer or ""):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            found = _SECONDS.fullmatch(value.strip())
            return _capped(found[1] or found[2]) if found else None
    return None


def waited(seconds: int | None, *, was_refused: bool) -> Mapping[str, str]:
    """Say in headers for how long an answer was held back at most.

    Args:
        seconds: None if the caller did not ask for it.
        was_refused: They asked, and were not waited for.
    """
    return VARY if seconds is None or was_refused else {**VARY, "Preference-Applied": f"wait={seconds}"}


def _capped(digits: str) -> int:
    return WAIT_SECONDS_MAX if len(digits) > _DIGITS_MAX else min(int(digits), WAIT_SECONDS_MAX)
