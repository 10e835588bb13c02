"""`hishab lanes`: for operators, how the lanes get on; start one that was stopped."""

import json
from typing import Annotated, Final

import typer

from hishab.answers import Lane
from hishab.client import Client
from hishab.commands.asking import ask
from hishab.commands.ending import plain_speech
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, DataDir, Url

app: Final = typer.Typer(
    help="See how the lanes get on, and start one that was stopped. For operators.", no_args_is_help=True
)

LaneNumber = Annotated[int, typer.Argument(metavar="LANE", min=1, help="Its number, as `hishab lanes list` shows it.")]


@app.command("list")
def list_all(*, data_dir: DataDir = DATA_DIR, url: Url = None, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """List the lanes: whether each works, how much is queued, and since when.

    Example: hishab lanes list
    """

    async def read(client: Client) -> list[Lane]:
        return await client.operations.lanes()

    with plain_speech(as_json=as_json):
        found = ask(read, data_dir=data_dir, url=url, api_key=api_key)
    if as_json:
        print(json.dumps([lane.model_dump(mode="json") for lane in found], indent=2))
        return
    for lane in found:
        print(_sentence(lane))


@app.command("start")
def start(
    lane: LaneNumber, *, data_dir: DataDir = DATA_DIR, url: Url = None, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Let a lane go on that too many defects have stopped.

    Mend their cause first, and run `hishab audit`: going on would only fail
    more transfers. A lane that works already is left as it is.

    Example: hishab lanes start 1
    """

    async def let_go_on(client: Client) -> Lane:
        return await client.operations.start_lane(lane)

    with plain_speech(as_json=as_json):
        found = ask(let_go_on, data_dir=data_dir, url=url, api_key=api_key)
    print(found.model_dump_json(indent=2) if as_json else _sentence(found))


def _sentence(lane: Lane) -> str:
    waits = f", the oldest for {lane.oldest_queued_seconds:.1f} s" if lane.queued else ""
    applied = f"{lane.last_applied_at:%Y-%m-%d %H:%M:%S}Z" if lane.last_applied_at else "never"
    return f"lane {lane.lane}: {lane.status}, {lane.queued} queued{waits}; last applied {applied}"
