"""`hishab submit FILE.csv`: read the options, send the file, say what became of it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hishab import connection
from hishab.client import CONNECTIONS_MAX, PATIENCE_SECONDS, Client
from hishab.commands.ending import ExitCode, plain_speech, print_failures
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, Concurrency, CsvFile, DataDir, TimeoutSeconds, Url
from hishab.progress import Progress
from hishab.submit import Report, submit

RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="Names this sending of the file: under another name all of it is sent anew.",
        show_default="the file's name",
    ),
]


def run(
    file: CsvFile,
    *,
    run_name: RunName = None,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    concurrency: Concurrency = CONNECTIONS_MAX,
    timeout_seconds: TimeoutSeconds = PATIENCE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Send a file of payments: every row once, however often this is run.

    FILE.csv has the columns source, destination, amount, currency, reference:
    wallets by id or external_id, amounts in decimals. What became of each row
    is written to FILE.results.csv. Cut off? Run the same command again.

    Exit code: 0 every row succeeded, 1 some failed, 2 the file has to be
    mended and nothing was sent, 3 not finished.

    Example: hishab submit orders.csv
    """
    with plain_speech(as_json=as_json):
        found = connection.find(data_dir=data_dir, url=url, api_key=api_key)
        client = Client(found.url, api_key=found.api_key, patience_seconds=timeout_seconds, connections_max=concurrency)
        report = asyncio.run(_submit(file, client=client, run_name=run_name or file.name))
    if as_json:
        print(json.dumps({**asdict(report), "results": str(report.results), "failed": report.failed}, indent=2))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(ExitCode.FAILED)


async def _submit(file: Path, *, client: Client, run_name: str) -> Report:
    async with client:
        with Progress(Console(stderr=True)) as progress:
            return await submit(file, client=client, run=run_name, progress=progress)


def _print(report: Report) -> None:
    print(f"{report.rows} rows of run {report.run}")
    print(f"  already done before           {report.already_done:>10}")
    print(f"  succeeded                     {report.succeeded:>10}")
    print(f"  failed                        {report.failed:>10}")
    print_failures(report.failures)
    print(f"Each row stands in {report.results}")
