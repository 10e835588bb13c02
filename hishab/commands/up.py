"""`hishab up`: start a whole Hishab on this machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hishab.commands.options import DATA_DIR
from hishab.launch_plan import Wishes
from hishab.up import up


def run(
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIRECTORY", help="Where it keeps its data. Made if need be.")
    ] = DATA_DIR,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port to listen on; 0 for any.")
    ] = 8000,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            metavar="URL",
            envvar="HISHAB_DATABASE_URL",
            help="A PostgreSQL (15 or newer) to use instead of a private one: postgresql://user:password@host:port/name",
        ),
    ] = None,
    broker_url: Annotated[
        str | None,
        typer.Option(
            "--broker-url",
            metavar="URL",
            envvar="HISHAB_BROKER_URL",
            help="A Redis or Valkey to use instead of a private one: redis://:password@host:port/0",
        ),
    ] = None,
    allow_local_webhooks: Annotated[
        bool, typer.Option("--allow-local-webhooks", help="Let webhooks go to this machine, and to plain http://.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say that it serves in one line of JSON instead of words.")
    ] = False,
) -> None:
    """Start Hishab: PostgreSQL, a broker, the API and its workers, until Ctrl-C.

    On an empty data directory an operator's API key is made and shown once.
    The other commands find the running system, and the key, by the data directory.

    Exit code: 0 it was stopped, 1 a part could not live, 2 it could not start.

    Example: hishab up --port 8080 --data-dir ~/hishab
    """
    wishes = Wishes(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url,
        broker_url=broker_url,
        allow_local_webhooks=allow_local_webhooks,
        as_json=as_json,
    )
    raise typer.Exit(up(wishes, environment=os.environ))
