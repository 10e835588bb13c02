"""Name the limits of money. Amounts are whole minor units (paisa, cents), never fractions."""

from typing import NewType

Minor = NewType("Minor", int)
"""An amount or a balance in the minor unit of its currency."""

AMOUNT_MINOR_MAX = Minor(10**12)
"""The largest single transfer. A thousand of them, one commit's worth, are still far below BIGINT."""

BALANCE_MINOR_MAX = Minor(10**18)
"""No balance passes this in either direction. BIGINT ends at 9.2 * 10^18: adding an amount cannot overflow."""
