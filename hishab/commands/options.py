"""The options that several commands share, so that each means the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from hishab import connection

DATA_DIR = connection.DATA_DIR
CONCURRENCY_MAX = 256

DataDir = Annotated[
    Path, typer.Option("--data-dir", metavar="DIRECTORY", help="Where the running Hishab keeps its data.")
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help=f"A Hishab elsewhere; its API key is read from {connection.API_KEY_VARIABLE}."
    ),
]
# Hidden, because a key on a command line can be read by everybody on the machine.
ApiKey = Annotated[str | None, typer.Option("--api-key", envvar=connection.API_KEY_VARIABLE, hidden=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of words.")]
TimeoutSeconds = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=1, help="Give up after so long without any progress.", show_default="600"
    ),
]
Concurrency = Annotated[
    int,
    typer.Option("--concurrency", min=1, max=CONCURRENCY_MAX, help="How many requests to have under way at once."),
]
CsvFile = Annotated[Path, typer.Argument(metavar="FILE")]
