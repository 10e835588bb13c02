"""`hishab listen`: register an address on this machine, show each event that comes, hand it on, and take it back."""

import asyncio
import json
import secrets
import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from hishab import connection
from hishab.answers import Endpoint
from hishab.client import Client
from hishab.commands.ending import plain_speech
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, DataDir, Url
from hishab.errors import HishabError, UnavailableError
from hishab.listen import Heard, Listener

PATIENCE_SECONDS = 30.0
PING_SECONDS_MAX = 20.0
PING_LOOK_SECONDS = 0.2

ForwardTo = Annotated[
    str | None, typer.Option("--forward-to", metavar="URL", help="Hand each event on, as it came, and answer the same.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 for any that is free.")]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url", metavar="URL", help="What leads to that port from where Hishab runs, as a tunnel's address."
    ),
]


def run(
    *,
    forward_to: ForwardTo = None,
    port: Port = 0,
    public_url: PublicUrl = None,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show webhooks as they come, until Ctrl-C.

    Registers a temporary endpoint, verifies each event's signature, prints it,
    and removes the endpoint at the end. For a Hishab on this machine, start
    that with: hishab up --allow-local-webhooks

    Example: hishab listen --forward-to http://127.0.0.1:8080/hooks
    """
    with plain_speech(as_json=as_json):
        found = connection.find(data_dir=data_dir, url=url, api_key=api_key)
        path = f"/{secrets.token_hex(8)}"
        listener = Listener(port=port, forward_to=forward_to, tell=_print_json if as_json else _print)
        origin = public_url.rstrip("/") if public_url else f"http://127.0.0.1:{listener.port}"
        stopping = _stop_on_signals()
        with listener.serving():
            asyncio.run(_listen(found, listener=listener, origin=origin, path=path, stopping=stopping))


def _stop_on_signals() -> threading.Event:
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping


async def _listen(
    found: connection.Connection, *, listener: Listener, origin: str, path: str, stopping: threading.Event
) -> None:
    address = origin + path
    async with Client(found.url, api_key=found.api_key, patience_seconds=PATIENCE_SECONDS) as client:
        try:
            endpoint = await client.endpoints.add(address, description="hishab listen")
            listener.answer_at(path, secret=endpoint.secret)
            await _see_that_it_arrives(client, endpoint, stopping=stopping)
            await asyncio.to_thread(stopping.wait)
        finally:
            # Found by its address: the answer to the first try of adding it may have been lost.
            for mine in await client.endpoints.mine():
                if mine.url == address:
                    await client.endpoints.delete(mine.id)


async def _see_that_it_arrives(client: Client, endpoint: Endpoint, *, stopping: threading.Event) -> None:
    """Wait until a ping has come through.

    Raises:
        HishabError: It has not, and says why as far as that is known.
    """
    clock = asyncio.get_running_loop()
    ping = await client.endpoints.ping(endpoint.id)
    began_at = clock.time()
    while not stopping.is_set():
        delivery = await client.endpoints.delivery(endpoint.id, ping.id)
        if delivery.status == "delivered":
            return
        for attempt in delivery.attempts:
            reason = attempt.error.message if attempt.error else f"it was answered {attempt.http_status}"
            raise HishabError(f"A ping to {endpoint.url} did not arrive: {reason}", code="ping_failed")
        if clock.time() - began_at > PING_SECONDS_MAX:
            raise UnavailableError("A ping was not sent in time: does the webhook worker run?")
        await asyncio.sleep(PING_LOOK_SECONDS)


def _print(heard: Heard) -> None:
    if heard.event is None:
        print(f"NOT VERIFIED  {heard.trouble}", flush=True)
        return
    parts = [str(heard.status), heard.event.type, str(heard.event.id)]
    if (about := heard.event.transfer) is not None:
        parts += [about.id, f"{about.amount_minor} {about.currency}", about.reference or ""]
    print("  ".join(part for part in [*parts, heard.trouble] if part), flush=True)


def _print_json(heard: Heard) -> None:
    event = None if heard.event is None else heard.event.model_dump(mode="json")
    print(json.dumps({"status": heard.status, "trouble": heard.trouble, "event": event}), flush=True)
