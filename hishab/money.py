"""Read and write decimal amounts as whole minor units, without a float in sight."""

import re

AMOUNT_MINOR_MAX = 10**12
"""The largest amount one transfer may carry, in minor units. Source: docs of `POST /v1/transfers`."""

# ASCII digits only: `\d` would also take Bengali and full-width digits, and `int` would believe them. Nothing need
# stand before the point: databases write 0.80 as .80.
_DECIMAL = re.compile(r"(?P<sign>-?)(?=[0-9]|\.)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]+))?")


class NotAnAmountError(ValueError):
    """The text is no amount of money; the message says why, without repeating the text."""


def minor_units(text: str, *, exponent: int) -> int:
    """Return the whole minor units that a decimal text stands for.

    Args:
        text: Digits, at most one point, no thousands separators, no exponent: `1250`, `12.50`.
        exponent: How many decimals the currency has (BDT 2, JPY 0, KWD 3).

    Raises:
        NotAnAmountError: The text is no such number, has more decimals than the currency, is below zero or above
            `AMOUNT_MINOR_MAX`.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise NotAnAmountError("is not a number (write it like 1250.50)")
    if match["sign"]:
        raise NotAnAmountError("is below zero")
    fraction = match["fraction"] or ""
    if len(fraction) > exponent:
        raise NotAnAmountError(f"has more decimals ({len(fraction)}) than the currency ({exponent})")
    digits = (match["whole"] + fraction.ljust(exponent, "0")).lstrip("0") or "0"
    # The length is looked at first: `int` refuses thousands of digits with an error of its own.
    if len(digits) > len(str(AMOUNT_MINOR_MAX)) or int(digits) > AMOUNT_MINOR_MAX:
        raise NotAnAmountError(f"is above {decimal_text(AMOUNT_MINOR_MAX, exponent=exponent)}, the most one carries")
    return int(digits)


def decimal_text(amount_minor: int, *, exponent: int) -> str:
    """Return the decimal text of an amount in minor units: `-5`, exponent 2, is `-0.05`."""
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    whole, fraction = digits[: len(digits) - exponent], digits[len(digits) - exponent :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
