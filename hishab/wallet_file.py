"""Turn a file of wallets into openings that can be asked for, or say line by line why it cannot."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hishab.csv_file import Fault, MalformedFileError, Row, read_rows
from hishab.payment_file import read_amount

COLUMNS = ("external_id", "currency", "balance")
EXTERNAL_ID_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One wallet to be there, with the balance it is to be opened with (0: none)."""

    row: int
    line: int
    external_id: str
    currency: str
    balance_minor: int

    @property
    def idempotency_key(self) -> str:
        """Return the key of the one transfer that funds this wallet, whatever file asks for it and how often.

        The balance is not part of it: another balance meets the same key, and the server refuses to pay twice.
        """
        written = json.dumps(["opening", self.external_id, self.currency], ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(written.encode("ascii")).hexdigest()


def read_openings(path: Path, *, exponents: Mapping[str, int]) -> list[Opening]:
    """Read the wallets of a file, in its order.

    Args:
        exponents: How many decimals each currency has, by its code.

    Raises:
        MalformedFileError: Some row is not a wallet, or names one a second time; every such row is named.
        UnreadableFileError: The file cannot be read.
    """
    rows, faults = read_rows(path, columns=COLUMNS)
    openings: list[Opening] = []
    for row in rows:
        opening = _opening(row, exponents=exponents)
        if isinstance(opening, Opening):
            openings.append(opening)
        else:
            faults += opening
    faults += _named_twice(rows)
    if faults:
        raise MalformedFileError(path, faults=faults)
    return openings


def _opening(row: Row, *, exponents: Mapping[str, int]) -> Opening | list[Fault]:
    faults = [row.fault("is empty", column=name) for name in COLUMNS if not row.fields[name]]
    if len(row.fields["external_id"]) > EXTERNAL_ID_CHARACTERS_MAX:
        faults.append(row.fault(f"is longer than {EXTERNAL_ID_CHARACTERS_MAX} characters", column="external_id"))
    if faults:
        return faults
    balance_minor = read_amount(row, column="balance", exponents=exponents, least_minor=0)
    if isinstance(balance_minor, Fault):
        return [balance_minor]
    return Opening(
        row=row.number,
        line=row.line,
        external_id=row.fields["external_id"],
        currency=row.fields["currency"],
        balance_minor=balance_minor,
    )


def _named_twice(rows: Sequence[Row]) -> list[Fault]:
    faults: list[Fault] = []
    line_first: dict[str, int] = {}
    for row in rows:
        external_id = row.fields["external_id"]
        if external_id in line_first:
            what = f"{external_id[:40]!r} stands on line {line_first[external_id]} already"
            faults.append(row.fault(what, column="external_id"))
        elif external_id:
            line_first[external_id] = row.line
    return faults
