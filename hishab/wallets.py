"""Open the wallets of a file and give each the balance it says, once, however often the command is run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hishab.answers import OpenedWallet, Problem
from hishab.client import Client
from hishab.csv_file import Fault
from hishab.errors import RefusedError
from hishab.money import decimal_text
from hishab.new_transfer import NewTransfer
from hishab.progress import Progress
from hishab.settling import settled
from hishab.side_by_side import for_each
from hishab.wallet_file import Opening, read_openings

REFERENCE = "opening balance"
"""Part of every funding, so it never changes: with another, a second run would be refused instead of replayed."""

BALANCE_CHANGED = "balance_changed"
"""Our own code for a row whose wallet was opened with another balance; nothing was done about it."""

_CREATED = 201
_KEY_REUSED = "idempotency_key_reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a file: wallets made now and there before, balances given now and before, and what was not done.

    Attributes:
        failures: How many rows failed, by code.
        failed_rows: Each of them, with its line.
    """

    rows: int
    created: int
    existing: int
    funded: int
    already_funded: int
    failures: Mapping[str, int]
    failed_rows: Sequence[Fault]


async def open_wallets(path: Path, *, client: Client, progress: Progress) -> Report:
    """Make the wallets that are not there, fund those that are to have a balance, and wait until that is final.

    The money comes out of the currency's issuance wallet by ordinary transfers, each under a key made of the wallet's
    name: a second run changes nothing, and one with another balance is told so. A balance of 0 asks for no transfer.

    Raises:
        MalformedFileError: A row is no wallet. Nothing was sent.
        HishabError: As `Client` says. Run it again: nothing is done twice.
        UnreadableFileError: The file cannot be read. Nothing was sent.
    """
    exponents = {currency.code: currency.exponent for currency in await client.currencies()}
    openings = read_openings(path, exponents=exponents)
    opened = await client.open_wallets([{"currency": o.currency, "external_id": o.external_id} for o in openings])
    fundings, failures = await _fund_all(
        list(zip(openings, opened, strict=True)), client=client, exponents=exponents, progress=progress
    )
    failures += await _settle_all(fundings, client=client, progress=progress)
    created = sum(item.status == _CREATED for item in opened)
    already_funded = sum(funding.replayed for funding in fundings)
    return Report(
        rows=len(openings),
        created=created,
        existing=sum(item.wallet is not None for item in opened) - created,
        funded=len(fundings) - already_funded,
        already_funded=already_funded,
        failures=dict(Counter(failure.code for failure in failures).most_common()),
        failed_rows=[failure.fault() for failure in sorted(failures, key=lambda failure: failure.opening.row)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Funding:
    opening: Opening
    transfer_id: str
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    opening: Opening
    code: str
    detail: str

    def fault(self) -> Fault:
        what = f"{self.opening.external_id}: {self.detail or self.code}"
        return Fault(line=self.opening.line, row=self.opening.row, column=None, what=what)


async def _fund_all(
    pairs: Sequence[tuple[Opening, OpenedWallet]], *, client: Client, exponents: Mapping[str, int], progress: Progress
) -> tuple[list[_Funding], list[_Failure]]:
    currencies = {opening.currency for opening, item in pairs if opening.balance_minor and item.wallet}
    issuance_ids = {currency: (await client.issuance_wallet(currency)).id for currency in sorted(currencies)}
    endings: list[_Funding | _Failure | None] = []
    progress.begin("funded", total=len(pairs))

    async def fund(pair: tuple[Opening, OpenedWallet]) -> None:
        opening, item = pair
        endings.append(await _fund(opening, item, client=client, issuance_ids=issuance_ids, exponents=exponents))
        progress.advance()

    await for_each(pairs, fund, at_once_max=client.connections_max)
    fundings = [ending for ending in endings if isinstance(ending, _Funding)]
    return fundings, [ending for ending in endings if isinstance(ending, _Failure)]


async def _fund(
    opening: Opening,
    item: OpenedWallet,
    *,
    client: Client,
    issuance_ids: Mapping[str, str],
    exponents: Mapping[str, int],
) -> _Funding | _Failure | None:
    """Give one wallet its balance. Returns None if it is to have none, and has been given none."""
    if item.wallet is None:
        problem = item.problem or Problem()
        return _Failure(opening=opening, code=problem.code or f"http_{item.status}", detail=problem.detail)
    if not opening.balance_minor:
        # A wallet without entries has not been given anything: that spares the question for most.
        return await _changed(opening, client=client, exponents=exponents) if item.wallet.entry_count else None
    funding = NewTransfer(
        source_wallet_id=issuance_ids[opening.currency],
        destination_wallet_id=item.wallet.id,
        amount_minor=opening.balance_minor,
        currency=opening.currency,
        reference=REFERENCE,
    )
    try:
        acceptance = await client.submit(funding, idempotency_key=opening.idempotency_key)
    except RefusedError as error:
        changed = await _changed(opening, client=client, exponents=exponents) if error.code == _KEY_REUSED else None
        return changed or _Failure(opening=opening, code=error.code, detail=error.detail)
    return _Funding(opening=opening, transfer_id=acceptance.transfer.id, replayed=acceptance.replayed)


async def _changed(opening: Opening, *, client: Client, exponents: Mapping[str, int]) -> _Failure | None:
    """Return that a wallet was opened with another balance, if it was."""
    earlier = await client.find_transfer_by_key(opening.idempotency_key)
    if earlier is None or earlier.amount_minor == opening.balance_minor:
        return None
    then, now = (
        decimal_text(amount_minor, exponent=exponents[opening.currency])
        for amount_minor in (earlier.amount_minor, opening.balance_minor)
    )
    detail = f"was opened with {then}, the file now says {now}. Nothing was done: submit the difference as a payment"
    return _Failure(opening=opening, code=BALANCE_CHANGED, detail=detail)


async def _settle_all(fundings: Sequence[_Funding], *, client: Client, progress: Progress) -> list[_Failure]:
    """Wait until every funding is final; return those that failed."""
    final = await settled(client, {funding.transfer_id for funding in fundings}, progress=progress)
    return [
        _Failure(opening=funding.opening, code=transfer.failure_code, detail=transfer.failure_message)
        for funding in fundings
        if (transfer := final[funding.transfer_id]).failure_code
    ]
