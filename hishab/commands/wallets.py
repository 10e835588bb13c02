"""`hishab wallets FILE.csv`: read the options, open the wallets, say what became of them."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from hishab import connection
from hishab.client import CONNECTIONS_MAX, PATIENCE_SECONDS, Client
from hishab.commands.ending import ExitCode, faults_as_json, plain_speech, print_failures, print_faults
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, Concurrency, CsvFile, DataDir, TimeoutSeconds, Url
from hishab.progress import Progress
from hishab.wallets import BALANCE_CHANGED, Report, open_wallets


def run(
    file: CsvFile,
    *,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    concurrency: Concurrency = CONNECTIONS_MAX,
    timeout_seconds: TimeoutSeconds = PATIENCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Open the wallets of a file, and fund them once, however often this is run.

    FILE.csv has the columns external_id, currency, balance: your own name for
    a wallet, and what it is to be opened with, in decimals (0: nothing). The
    money comes from issuance. For operators. Cut off? Run it again.

    Exit code: 0 all are there, 1 some rows failed, 2 the file has to be
    mended: nothing was sent, or a balance differs from the one given before;
    3 not finished.

    Example: hishab wallets accounts.csv
    """
    with plain_speech(as_json=as_json):
        found = connection.find(data_dir=data_dir, url=url, api_key=api_key)
        client = Client(found.url, api_key=found.api_key, patience_seconds=timeout_seconds, connections_max=concurrency)
        report = asyncio.run(_open_wallets(file, client=client))
    if as_json:
        print(json.dumps({**asdict(report), "failed_rows": faults_as_json(report.failed_rows)}, indent=2))
    else:
        _print(report)
    if report.failures:
        raise typer.Exit(ExitCode.MALFORMED if BALANCE_CHANGED in report.failures else ExitCode.FAILED)


async def _open_wallets(file: Path, *, client: Client) -> Report:
    async with client:
        with Progress(Console(stderr=True)) as progress:
            return await open_wallets(file, client=client, progress=progress)


def _print(report: Report) -> None:
    print(f"{report.rows} wallets")
    print(f"  opened now                    {report.created:>10}")
    print(f"  there before                  {report.existing:>10}")
    print(f"  funded now                    {report.funded:>10}")
    print(f"  funded before                 {report.already_funded:>10}")
    print(f"  failed                        {len(report.failed_rows):>10}")
    print_failures(report.failures)
    print_faults(report.failed_rows)
