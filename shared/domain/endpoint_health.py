"""Say when a webhook endpoint is only probed, and when it is given up. Pure: what was seen comes in as arguments."""

from typing import Final

FAILING_FROM: Final = 5
"""After so many failures without a success between, one delivery at a time is tried until one succeeds."""

GIVEN_UP_FAILURES_MIN: Final = 10
"""An endpoint is not disabled for fewer, however long ago the first of them was."""
