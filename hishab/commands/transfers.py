"""`hishab transfers`: for operators, the transfers that somebody should look at."""

import json
from typing import Final

import typer

from hishab.answers import UnprocessableTransfer
from hishab.client import Client
from hishab.commands.asking import ask
from hishab.commands.ending import plain_speech
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, DataDir, Url

app: Final = typer.Typer(help="See which transfers somebody should look at. For operators.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """See which transfers somebody should look at. For operators."""


@app.command("unprocessable")
def unprocessable(
    *, data_dir: DataDir = DATA_DIR, url: Url = None, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """List what a defect of Hishab's has ended, newest first, and what went wrong.

    Each was tried five times alone. No money moved; whoever sent it has to
    send it again, under a new key, once the defect is mended.

    Example: hishab transfers unprocessable
    """

    async def list_all(client: Client) -> list[UnprocessableTransfer]:
        return [transfer async for transfer in client.operations.iterate_unprocessable()]

    with plain_speech(as_json=as_json):
        found = ask(list_all, data_dir=data_dir, url=url, api_key=api_key)
    if as_json:
        print(json.dumps([transfer.model_dump(mode="json", by_alias=True) for transfer in found], indent=2))
        return
    for transfer in found:
        ended = f"{transfer.completed_at:%Y-%m-%d %H:%M:%S}Z" if transfer.completed_at else ""
        print(f"{transfer.id}  {ended}  {transfer.defect or ''}")
    print(f"{len(found)} unprocessable" if found else "No transfer is unprocessable.")
