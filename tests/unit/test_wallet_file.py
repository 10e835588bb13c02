"""Hold the reading of wallet files to this: no wallet twice, and one key for one wallet's opening."""

from pathlib import Path

import pytest

from hishab.csv_file import MalformedFileError
from hishab.wallet_file import Opening, read_openings

EXPONENTS = {"CZK": 2, "JPY": 0}
HEADER = "external_id,currency,balance\n"


def openings_of(tmp_path: Path, rows: str) -> list[Opening]:
    path = tmp_path / "accounts.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    return read_openings(path, exponents=EXPONENTS)


class TestReadOpenings:
    def test_reads_wallets_with_and_without_a_balance(self, tmp_path: Path) -> None:
        funded, empty = openings_of(tmp_path, "1,CZK,1000.00\nYZ-87144583,JPY,0\n")
        assert funded == Opening(row=1, line=2, external_id="1", currency="CZK", balance_minor=100000)
        assert empty == Opening(row=2, line=3, external_id="YZ-87144583", currency="JPY", balance_minor=0)

    @pytest.mark.parametrize(
        ("rows", "complaint"),
        [
            ("1,CZK,0\n2,CZK,0\n1,CZK,0\n", "line 4 (row 3): external_id '1' stands on line 2 already"),
            ("1,CZK,0\n1,JPY,0\n", "line 3 (row 2): external_id '1' stands on line 2 already"),
            ("1,CZK,\n", "line 2 (row 1): balance is empty"),
            (",CZK,0\n", "line 2 (row 1): external_id is empty"),
            ("x" * 201 + ",CZK,1\n", "line 2 (row 1): external_id is longer than 200 characters"),
            ("1,CZK,-1\n", "line 2 (row 1): balance '-1' is below zero"),
            ("1,JPY,0.5\n", "line 2 (row 1): balance '0.5' has more decimals"),
            ("1,XXQ,0\n", "line 2 (row 1): currency 'XXQ' is not a currency"),
        ],
    )
    def test_names_the_line_of_a_bad_row(self, tmp_path: Path, rows: str, complaint: str) -> None:
        with pytest.raises(MalformedFileError) as caught:
            openings_of(tmp_path, rows)
        assert [str(fault)[: len(complaint)] for fault in caught.value.faults] == [complaint]


class TestIdempotencyKey:
    def test_stands_for_the_wallet_whatever_balance_a_file_gives_it(self, tmp_path: Path) -> None:
        (then,) = openings_of(tmp_path, "1,CZK,1000.00\n")
        _, now = openings_of(tmp_path, "2,CZK,5\n1,CZK,999.00\n")
        assert now.idempotency_key == then.idempotency_key

    def test_is_another_for_another_wallet(self, tmp_path: Path) -> None:
        keys = {opening.idempotency_key for opening in openings_of(tmp_path, "1,CZK,1\n2,CZK,1\n11,CZK,1\n")}
        assert len(keys) == 3
