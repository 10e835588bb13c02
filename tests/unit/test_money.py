"""Hold hishab.money to whole minor units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hishab.money import AMOUNT_MINOR_MAX, NotAnAmountError, decimal_text, minor_units


class TestMinorUnits:
    @pytest.mark.parametrize(
        ("text", "exponent", "amount_minor"),
        [
            ("0", 2, 0),
            ("0.01", 2, 1),
            ("0.1", 2, 10),
            (".80", 2, 80),
            ("245.20", 2, 24520),
            ("1000", 2, 100000),
            ("007.50", 2, 750),
            ("500", 0, 500),
            ("1.234", 3, 1234),
            # As a float, times 100, this is 28.999999999999996.
            ("0.29", 2, 29),
            ("10000000000.00", 2, AMOUNT_MINOR_MAX),
            ("0" * 5000 + "1.00", 2, 100),
        ],
    )
    def test_reads_decimals_exactly(self, text: str, exponent: int, amount_minor: int) -> None:
        assert minor_units(text, exponent=exponent) == amount_minor

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "abc",
            "1,000.00",
            "1 000",
            "1e3",
            "+5",
            "1_000",
            ".",
            "-",
            "5.",
            "1.2.3",
            "0x10",
            "NaN",
            "inf",
            "12,50",
            "৫",
            "\uff15",
        ],
    )
    def test_refuses_what_is_not_a_plain_number(self, text: str) -> None:
        with pytest.raises(NotAnAmountError, match="is not a number"):
            minor_units(text, exponent=2)

    @pytest.mark.parametrize(("text", "exponent"), [("1.001", 2), ("1.000", 2), ("5.0", 0), ("1.2345", 3)])
    def test_refuses_more_decimals_than_the_currency_has(self, text: str, exponent: int) -> None:
        with pytest.raises(NotAnAmountError, match="decimals"):
            minor_units(text, exponent=exponent)

    @pytest.mark.parametrize("text", ["10000000000.01", "99999999999", "9" * 5000])
    def test_refuses_more_than_one_transfer_carries(self, text: str) -> None:
        with pytest.raises(NotAnAmountError, match=r"above 10000000000\.00"):
            minor_units(text, exponent=2)

    def test_refuses_what_is_below_zero(self) -> None:
        with pytest.raises(NotAnAmountError, match="below zero"):
            minor_units("-1.00", exponent=2)


class TestDecimalText:
    @pytest.mark.parametrize(
        ("amount_minor", "exponent", "text"),
        [(0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (24520, 2, "245.20"), (500, 0, "500"), (1, 3, "0.001")],
    )
    def test_writes_every_decimal(self, amount_minor: int, exponent: int, text: str) -> None:
        assert decimal_text(amount_minor, exponent=exponent) == text

    @given(amount_minor=st.integers(0, AMOUNT_MINOR_MAX), exponent=st.integers(0, 4))
    def test_is_read_back_as_the_same_amount(self, amount_minor: int, exponent: int) -> None:
        assert minor_units(decimal_text(amount_minor, exponent=exponent), exponent=exponent) == amount_minor
