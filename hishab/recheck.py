"""Hold a file against what was accepted of it before, so that a changed row is noticed and not paid again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hishab.addressing import Payment
from hishab.answers import Transfer
from hishab.client import Client
from hishab.csv_file import Fault, MalformedFileError
from hishab.journal import Journal, Record
from hishab.money import decimal_text
from hishab.settling import read_transfers


async def check_recorded(
    payments: Sequence[Payment], *, client: Client, journal: Journal, path: Path, exponents: Mapping[str, int]
) -> dict[str, Transfer]:
    """Return the transfers that the results file has on record, by id, once each is known to be what its row says.

    The server is asked, not the file: the results file says which transfer, the server what it was.

    Raises:
        MalformedFileError: Some rows differ from what was accepted in their place, or are gone; each is named.
        HishabError: As `Client` says.
    """
    records = [record for _, record in sorted(journal.records.items()) if record.transfer_id]
    transfers = await read_transfers(client, {record.transfer_id for record in records})
    by_row = {payment.order.row: payment for payment in payments}
    faults = [
        fault
        for record in records
        for fault in _differences(
            record, payment=by_row.get(record.row), transfer=transfers.get(record.transfer_id), exponents=exponents
        )
    ]
    if records and not faults:
        faults = await _other_run(client, payment=by_row[records[0].row], recorded=transfers)
    if faults:
        raise MalformedFileError(path, faults=faults)
    return transfers


def _differences(
    record: Record, *, payment: Payment | None, transfer: Transfer | None, exponents: Mapping[str, int]
) -> Iterator[Fault]:
    """Yield how a row differs from the transfer that its record names."""
    accepted = f"when it was accepted as transfer {record.transfer_id}"
    if payment is None:
        yield Fault(line=None, row=record.row, column=None, what=f"was there {accepted}, and is gone now")
        return
    if transfer is None:
        what = f"is on record as transfer {record.transfer_id}, which this system does not know: move the results away"
        yield payment.order.fault(what)
        return
    for column, then, now in _fields(payment, transfer=transfer, exponents=exponents):
        if then != now:
            yield payment.order.fault(f"was {then} {accepted}, and is {now} now", column=column)


def _fields(payment: Payment, *, transfer: Transfer, exponents: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """Yield each column with what it was and what it is now, both as text for people."""
    order = payment.order
    yield "source", transfer.source_wallet_id, payment.source_wallet_id
    yield "destination", transfer.destination_wallet_id, payment.destination_wallet_id
    yield (
        "amount",
        decimal_text(transfer.amount_minor, exponent=exponents[transfer.currency]),
        decimal_text(order.amount_minor, exponent=exponents[order.currency]),
    )
    yield "currency", transfer.currency, order.currency
    yield "reference", repr(transfer.reference or ""), repr(order.reference or "")


async def _other_run(client: Client, *, payment: Payment, recorded: Mapping[str, Transfer]) -> list[Fault]:
    """Return a fault if the results are those of another run, under which this payment would have another key.

    Without this, `--run july` would call done what was sent as `--run june`. One row stands for all: each record was
    written after this check. Of rows that look the same, any may have been the one that was sent.
    """
    for occurrence in range(1, payment.occurrence + 1):
        transfer = await client.find_transfer_by_key(replace(payment, occurrence=occurrence).idempotency_key())
        if transfer is not None and transfer.id in recorded:
            return []
    return [
        payment.order.fault(f"is on record, but not as of run {payment.run!r}: move the results away, or name the run")
    ]
