"""`hishab audit`: have the whole ledger checked, print the sums, name what does not hold."""

import asyncio
from collections.abc import Mapping

import typer

from hishab import connection
from hishab.answers import Audit, Sums, Violation
from hishab.audit import audit
from hishab.client import PATIENCE_SECONDS, Client
from hishab.commands.ending import ExitCode, plain_speech
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, DataDir, TimeoutSeconds, Url
from hishab.money import decimal_text


def run(
    *,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    timeout_seconds: TimeoutSeconds = PATIENCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger: that no money was made or lost, anywhere.

    The entries of each transfer sum to zero, each balance follows from the
    wallet's entries, and all balances of a currency sum to zero. For operators.

    Exit code: 0 it holds, 1 it does not (each place is named), 3 not finished.

    Example: hishab audit
    """
    with plain_speech(as_json=as_json):
        found = connection.find(data_dir=data_dir, url=url, api_key=api_key)
        finding, exponents = asyncio.run(
            _audit(Client(found.url, api_key=found.api_key, patience_seconds=timeout_seconds))
        )
    if as_json:
        print(finding.model_dump_json(by_alias=True, indent=2))
    else:
        _print(finding, exponents=exponents)
    if not finding.holds:
        raise typer.Exit(ExitCode.FAILED)


async def _audit(client: Client) -> tuple[Audit, dict[str, int]]:
    async with client:
        finding = await audit(client)
        return finding, {currency.code: currency.exponent for currency in await client.currencies()}


def _print(finding: Audit, *, exponents: Mapping[str, int]) -> None:
    if finding.summed is not None:
        _print_sums(finding.summed, exponents=exponents)
    for violation in finding.violations:
        print(_sentence(violation))
    print("The ledger holds." if finding.holds else "THE LEDGER DOES NOT HOLD.")


def _print_sums(sums: Sums, *, exponents: Mapping[str, int]) -> None:
    print(f"{sums.transfers} transfers: {sums.succeeded} succeeded, {sums.failed} failed, {sums.queued} queued")
    print(f"{'':<4}{'wallets':>12}{'entries':>12}{'issued':>24}{'held':>24}")
    for row in sums.currencies:
        issued, held = (
            "-" if amount_minor is None else decimal_text(amount_minor, exponent=exponents[row.currency])
            for amount_minor in (row.issued_minor, row.held_minor)
        )
        print(f"{row.currency:<4}{row.wallets:>12}{row.entries:>12}{issued:>24}{held:>24}")


def _sentence(violation: Violation) -> str:
    parts = {
        "wallet": violation.wallet_id,
        "transfer": violation.transfer_id,
        "currency": violation.currency,
        "expected": violation.expected,
        "found": violation.found,
    }
    said = [f"{name} {value}" for name, value in parts.items() if value is not None]
    return f"{violation.check}: {', '.join([*said, violation.detail] if violation.detail else said)}"
