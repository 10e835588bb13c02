"""Say which PINs anybody would try first."""

from typing import Final

_DIGITS: Final = "0123456789" * 2

# The most used PINs of five digits that are neither one digit repeated nor a row of them. Source: DataGenetics,
# "PIN analysis" (2012), the twenty commonest of five digits.
_COMMON: Final = frozenset({"13579", "12321", "00700", "90210", "38317", "42069"})


def is_too_common(pin: str) -> bool:
    """Say whether a PIN is one digit repeated, a row of digits up or down, or otherwise among the commonest."""
    return len(set(pin)) == 1 or pin in _DIGITS or pin in _DIGITS[::-1] or pin in _COMMON
