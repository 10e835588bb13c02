"""Turn a file of payments into orders that can be sent, or say line by line why it cannot."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hishab.csv_file import Fault, MalformedFileError, Row, read_rows
from hishab.money import NotAnAmountError, minor_units

COLUMNS = ("source", "destination", "amount", "currency", "reference")
REFERENCE_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One payment as its row says it. Wallets as written: an id or the operator's own name for it."""

    row: int
    line: int
    source: str
    destination: str
    amount_minor: int
    currency: str
    reference: str | None

    def fault(self, what: str, *, column: str | None = None) -> Fault:
        """Return what is wrong with this order's row, or with one column of it."""
        return Fault(line=self.line, row=self.row, column=column, what=what)


def read_orders(path: Path, *, exponents: Mapping[str, int]) -> list[Order]:
    """Read the payments of a file, in its order.

    Args:
        exponents: How many decimals each currency has, by its code.

    Raises:
        MalformedFileError: Some row is not a payment; every such row is named.
        UnreadableFileError: The file cannot be read.
    """
    rows, faults = read_rows(path, columns=COLUMNS)
    orders: list[Order] = []
    for row in rows:
        order = _order(row, exponents=exponents)
        if isinstance(order, Order):
            orders.append(order)
        else:
            faults += order
    if faults:
        raise MalformedFileError(path, faults=faults)
    return orders


def occurrences(orders: Sequence[Order]) -> list[int]:
    """Return how many-eth each order is, from 1, among those with its fields: equal rows are as many payments."""
    seen: Counter[tuple[object, ...]] = Counter()
    numbers: list[int] = []
    for order in orders:
        fields = _identity(order)
        seen[fields] += 1
        numbers.append(seen[fields])
    return numbers


def idempotency_key(order: Order, *, run: str, occurrence: int) -> str:
    """Return SHA-256, in hex, of what makes an order this payment and no other: the run, its fields, its occurrence.

    The number of its row is not part of it, so a row may move; nor is the way the amount is written, since a
    spreadsheet that turns 100.00 into 100 must not pay again. A JSON list keeps apart what joined text would run
    together.
    """
    written = json.dumps([run, *_identity(order), occurrence], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode("ascii")).hexdigest()


def _identity(order: Order) -> tuple[object, ...]:
    return order.source, order.destination, order.amount_minor, order.currency, order.reference or ""


def read_amount(row: Row, *, column: str, exponents: Mapping[str, int], least_minor: int) -> int | Fault:
    """Return a row's amount in minor units of the row's `currency`, or what is wrong with either."""
    currency, text = row.fields["currency"], row.fields[column]
    if currency not in exponents:
        return row.fault(f"{currency[:40]!r} is not a currency (write it like CZK)", column="currency")
    try:
        amount_minor = minor_units(text, exponent=exponents[currency])
    except NotAnAmountError as error:
        return row.fault(f"{text[:40]!r} {error}", column=column)
    if amount_minor < least_minor:
        return row.fault("is zero", column=column)
    return amount_minor


def _order(row: Row, *, exponents: Mapping[str, int]) -> Order | list[Fault]:
    fields = row.fields
    faults = [row.fault("is empty", column=name) for name in COLUMNS[:-1] if not fields[name]]
    if len(fields["reference"]) > REFERENCE_CHARACTERS_MAX:
        faults.append(row.fault(f"is longer than {REFERENCE_CHARACTERS_MAX} characters", column="reference"))
    if faults:
        return faults
    amount_minor = read_amount(row, column="amount", exponents=exponents, least_minor=1)
    if isinstance(amount_minor, Fault):
        return [amount_minor]
    return Order(
        row=row.number,
        line=row.line,
        source=fields["source"],
        destination=fields["destination"],
        amount_minor=amount_minor,
        currency=fields["currency"],
        reference=fields["reference"] or None,
    )
