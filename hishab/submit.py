"""Send a file of payments: every row once, however often the command is run and wherever it is cut off.

The idempotency key of a row is what makes that so. The results file spares a re-run the asking, and lets it notice that
a row was changed after it had been accepted.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hishab.addressing import Payment, address
from hishab.answers import Transfer
from hishab.client import Client
from hishab.errors import RefusedError
from hishab.journal import REFUSED, Journal, Record, results_path
from hishab.new_transfer import NewTransfer
from hishab.payment_file import read_orders
from hishab.progress import Progress
from hishab.recheck import check_recorded
from hishab.settling import settled
from hishab.side_by_side import for_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a file. `already_done` of its rows had been accepted before; `failures` counts by code."""

    run: str
    results: Path
    rows: int
    already_done: int
    succeeded: int
    failures: Mapping[str, int]

    @property
    def failed(self) -> int:
        """Return how many rows moved no money."""
        return sum(self.failures.values())


async def submit(path: Path, *, client: Client, run: str, progress: Progress) -> Report:
    """Send every row that was not accepted before, wait until all are final, and write down what became of each.

    The rows of one source go one after the other in the order of the file, each once the one before has its answer;
    sources go side by side. A row that is refused (`same_wallet`, say) stops nothing: the rows of its source after it
    go on, each judged alone, just as they would after a transfer that fails.

    Raises:
        MalformedFileError: A row is no payment, names an unknown wallet, or differs from the one accepted in its
            place. Nothing was sent.
        JournalUnusableError: The results file is in use, or is none.
        HishabError: As `Client` says. Run it again: nothing is sent twice.
        UnreadableFileError: The file cannot be read. Nothing was sent.
        OSError: The results cannot be written. Run it again likewise.
    """
    exponents = {currency.code: currency.exponent for currency in await client.currencies()}
    orders = read_orders(path, exponents=exponents)
    payments = await address(orders, client=client, run=run, path=path)
    with Journal(results_path(path)) as journal:
        recorded = await check_recorded(payments, client=client, journal=journal, path=path, exponents=exponents)
        replayed = await _send_all(payments, client=client, journal=journal, progress=progress)
        final = await _settle_all(journal, client=client, recorded=recorded, progress=progress)
        records = [_with_outcome(journal.records[payment.order.row], final=final) for payment in payments]
        journal.rewrite(records)
    failures = Counter(record.failure_code for record in records if record.failure_code)
    return Report(
        run=run,
        results=results_path(path),
        rows=len(records),
        already_done=len(recorded) + replayed,
        succeeded=len(records) - failures.total(),
        failures=dict(failures.most_common()),
    )


async def _send_all(payments: Sequence[Payment], *, client: Client, journal: Journal, progress: Progress) -> int:
    """Send what is not on record, and return how much of it the server had accepted before."""
    claimed = {record.transfer_id for record in journal.records.values() if record.transfer_id}
    queues: dict[str, list[Payment]] = defaultdict(list)
    for payment in payments:
        record = journal.records.get(payment.order.row)
        if record is None or not record.transfer_id:
            queues[payment.source_wallet_id].append(payment)
    progress.begin("sent", total=sum(map(len, queues.values())))
    replayed = 0

    async def send_in_order(queue: Sequence[Payment]) -> None:
        nonlocal replayed
        for payment in queue:
            record, was_replayed = await _send(payment, client=client, claimed=claimed)
            await journal.append(record)
            replayed += was_replayed
            progress.advance()

    await for_each(queues.values(), send_in_order, at_once_max=client.connections_max)
    return replayed


async def _send(payment: Payment, *, client: Client, claimed: set[str]) -> tuple[Record, bool]:
    """Send one payment; return what to record, and whether the server had accepted it before.

    A transfer stands for one row only. Where a row was mended into the likeness of one that is on record, its key is
    that row's: it then goes out under the next, or its money would never move.
    """
    order = payment.order
    record = Record(row=order.row, reference=order.reference or "", transfer_id="", status=REFUSED, failure_code="")
    transfer = NewTransfer(
        source_wallet_id=payment.source_wallet_id,
        destination_wallet_id=payment.destination_wallet_id,
        amount_minor=order.amount_minor,
        currency=order.currency,
        reference=order.reference,
    )
    beyond = 0
    while True:
        try:
            acceptance = await client.submit(transfer, idempotency_key=payment.idempotency_key(beyond=beyond))
        except RefusedError as error:
            return replace(record, failure_code=error.code), False
        accepted = acceptance.transfer
        if accepted.id not in claimed:
            claimed.add(accepted.id)
            return replace(record, transfer_id=accepted.id, status=accepted.status), acceptance.replayed
        beyond += 1


async def _settle_all(
    journal: Journal, *, client: Client, recorded: Mapping[str, Transfer], progress: Progress
) -> dict[str, Transfer]:
    """Return every transfer on record, by id, once it is final."""
    final = {transfer_id: transfer for transfer_id, transfer in recorded.items() if transfer.is_terminal}
    accepted = {record.transfer_id for record in journal.records.values() if record.transfer_id}
    return final | await settled(client, accepted - final.keys(), progress=progress)


def _with_outcome(record: Record, *, final: Mapping[str, Transfer]) -> Record:
    transfer = final.get(record.transfer_id)
    if transfer is None:
        return record
    return replace(record, status=transfer.status, failure_code=transfer.failure_code)
