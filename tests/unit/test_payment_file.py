"""Hold the reading of payment files to this: every bad row is named by its line, and no good one is refused."""

from pathlib import Path

import pytest

from hishab.csv_file import MalformedFileError
from hishab.payment_file import Order, idempotency_key, occurrences, read_orders

EXPONENTS = {"CZK": 2, "JPY": 0, "KWD": 3}
HEADER = b"source,destination,amount,currency,reference\n"


def orders_of(tmp_path: Path, content: bytes) -> list[Order]:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    return read_orders(path, exponents=EXPONENTS)


def complaints_of(tmp_path: Path, content: bytes) -> list[str]:
    with pytest.raises(MalformedFileError) as caught:
        orders_of(tmp_path, content)
    return [str(fault) for fault in caught.value.faults]


def order(**fields: object) -> Order:
    usual: dict[str, object] = {
        "row": 1,
        "line": 2,
        "source": "1",
        "destination": "2",
        "amount_minor": 100,
        "currency": "CZK",
        "reference": "r",
    }
    return Order(**(usual | fields))  # pyright: ignore[reportArgumentType] (a test's shorthand)


class TestReadOrders:
    def test_reads_rows_with_their_lines_and_numbers(self, tmp_path: Path) -> None:
        content = HEADER + b"1,YZ-87144583,245.20,CZK,household\n\n2,1,500,JPY,\n"
        first, second = orders_of(tmp_path, content)
        assert first == Order(
            row=1,
            line=2,
            source="1",
            destination="YZ-87144583",
            amount_minor=24520,
            currency="CZK",
            reference="household",
        )
        assert (second.row, second.line, second.amount_minor, second.reference) == (2, 4, 500, None)

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbf" + HEADER + b"1,2,1.00,CZK,r\n",
            HEADER.replace(b"\n", b"\r\n") + b"1,2,1.00,CZK,r\r\n",
            HEADER + b"1,2,1.00,CZK,r",
            HEADER + b' 1 ,2,"1.00",CZK , r\n',
            b"note,reference,currency,amount,destination,source\nx,r,CZK,1.00,2,1\n",
        ],
        ids=[
            "byte order mark",
            "CRLF",
            "no last newline",
            "blanks and quotes",
            "columns in another order and one more",
        ],
    )
    def test_takes_what_spreadsheets_write(self, tmp_path: Path, content: bytes) -> None:
        assert orders_of(tmp_path, content) == [order()]

    def test_takes_a_reference_in_any_script(self, tmp_path: Path) -> None:
        content = HEADER + 'চাল,2,1.00,CZK,"ভাড়া, নভেম্বর"\n'.encode()
        assert orders_of(tmp_path, content) == [order(source="চাল", reference="ভাড়া, নভেম্বর")]

    def test_an_empty_file_of_payments_holds_none(self, tmp_path: Path) -> None:
        assert orders_of(tmp_path, HEADER) == []

    @pytest.mark.parametrize(
        ("row", "complaint"),
        [
            (b"1,2,1.001,CZK,r", "line 3 (row 2): amount '1.001' has more decimals (3) than the currency (2)"),
            (b"1,2,5.0,JPY,r", "line 3 (row 2): amount '5.0' has more decimals (1) than the currency (0)"),
            (b"1,2,ten,CZK,r", "line 3 (row 2): amount 'ten' is not a number (write it like 1250.50)"),
            (b"1,2,0.00,CZK,r", "line 3 (row 2): amount is zero"),
            (b"1,2,-1.00,CZK,r", "line 3 (row 2): amount '-1.00' is below zero"),
            (b"1,2,10000000000.01,CZK,r", "line 3 (row 2): amount '10000000000.01' is above 10000000000.00"),
            (b"1,2,1.00,XXQ,r", "line 3 (row 2): currency 'XXQ' is not a currency"),
            (b"1,2,1.00,czk,r", "line 3 (row 2): currency 'czk' is not a currency"),
            (b"1,,1.00,CZK,r", "line 3 (row 2): destination is empty"),
            (b"1,2,1.00,CZK", "line 3 (row 2): has 4 fields, the header has 5"),
            (b"1,2,1,000.00,CZK,r", "line 3 (row 2): has 6 fields, the header has 5"),
            (b"1,2,1.00,CZK," + b"x" * 65, "line 3 (row 2): reference is longer than 64 characters"),
            (b"1,2,1.00,CZK,caf\xe9", "line 3 (row 2): reference is not text in UTF-8"),
            (b"1,2,1.00,CZK,a\x00b", "line 3 (row 2): reference holds a NUL or another control character"),
            (b'1,2,1.00,CZK,"a\nb"', "line 3 (row 2): reference holds a NUL or another control character"),
            (b'1,2,1.00,CZK,"a"b', "line 3 (row 2): is not CSV"),
        ],
    )
    def test_names_the_line_of_a_bad_row(self, tmp_path: Path, row: bytes, complaint: str) -> None:
        (only,) = complaints_of(tmp_path, HEADER + b"1,2,1.00,CZK,good\n" + row + b"\n1,2,1.00,CZK,good\n")
        assert only.startswith(complaint)

    def test_names_every_bad_row_in_order(self, tmp_path: Path) -> None:
        content = HEADER + b"1,2,x,CZK,r\n1,2,1.00,CZK,r\n1,2\n\n1,2,1.00,CZK,\xff\n1,,0,ABC,r\n"
        assert [complaint.partition(":")[0] for complaint in complaints_of(tmp_path, content)] == [
            "line 2 (row 1)",
            "line 4 (row 3)",
            "line 6 (row 4)",
            "line 7 (row 5)",
        ]

    def test_names_where_a_quote_was_opened_that_nobody_closed(self, tmp_path: Path) -> None:
        content = HEADER + b'1,2,1.00,CZK,"open\n' + b"1,2,1.00,CZK,r\n" * 3
        assert complaints_of(tmp_path, content)[0].startswith("line 2 (row 1): is not CSV")

    @pytest.mark.parametrize(
        ("header", "complaints"),
        [
            (b"source,destination,amount,currency", ["line 1: column reference is missing"]),
            (
                b"source;destination;amount;currency;reference",
                [
                    f"line 1: column {c} is missing"
                    for c in ("source", "destination", "amount", "currency", "reference")
                ],
            ),
            (b"source,destination,amount,currency,reference,amount", ["line 1: column amount is there twice"]),
            ("source,destination".encode("utf-16"), ["line 1: is not text in UTF-8"]),
            (
                b"",
                [
                    f"line 1: column {c} is missing"
                    for c in ("source", "destination", "amount", "currency", "reference")
                ],
            ),
        ],
    )
    def test_refuses_a_header_it_cannot_use(self, tmp_path: Path, header: bytes, complaints: list[str]) -> None:
        assert complaints_of(tmp_path, header) == complaints


class TestIdempotencyKey:
    def test_does_not_change_from_one_version_to_the_next(self) -> None:
        # Printed by: printf '["june","1","2",100,"CZK","r",1]' | sha256sum
        key = idempotency_key(order(), run="june", occurrence=1)
        assert key == "1eaf2c5cc452fe270bca275fa9ea2a8a670f413fb036b5225896758fa752d74e"

    def test_is_the_same_for_the_same_payment_in_another_place_and_writing(self, tmp_path: Path) -> None:
        (written,) = orders_of(tmp_path, HEADER + b"1,2,100,CZK,r\n")
        _, moved = orders_of(tmp_path, HEADER + b"9,9,9,CZK,\n1,2,100.00,CZK,r\n")
        assert idempotency_key(written, run="a", occurrence=1) == idempotency_key(moved, run="a", occurrence=1)

    def test_differs_where_anything_else_does(self) -> None:
        keys = [
            idempotency_key(order(), run="a", occurrence=1),
            idempotency_key(order(), run="b", occurrence=1),
            idempotency_key(order(), run="a", occurrence=2),
            idempotency_key(order(source="12", destination=""), run="a", occurrence=1),
            idempotency_key(order(source="1", destination="2,"), run="a", occurrence=1),
            idempotency_key(order(amount_minor=101), run="a", occurrence=1),
            idempotency_key(order(currency="JPY"), run="a", occurrence=1),
            idempotency_key(order(reference=None), run="a", occurrence=1),
        ]
        assert len(set(keys)) == len(keys)


class TestOccurrences:
    def test_counts_rows_that_look_the_same(self) -> None:
        rows = [order(), order(source="3"), order(row=3, line=4), order(reference=None), order(row=5)]
        assert occurrences(rows) == [1, 1, 2, 1, 3]
