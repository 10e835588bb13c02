"""`hishab webhooks`: for operators, everybody's endpoints and how they fare; send again what did not arrive."""

import json
from datetime import datetime
from typing import Annotated, Final

import typer

from hishab.answers import Answer, Delivery, EndpointHealth, Recovery
from hishab.client import Client
from hishab.commands.asking import ask
from hishab.commands.ending import plain_speech
from hishab.commands.options import DATA_DIR, ApiKey, AsJson, DataDir, Url

app: Final = typer.Typer(help="See how webhook endpoints fare, and send again what did not arrive. For operators.")

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id, as `hishab webhooks list` shows it.")]
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="As `hishab webhooks deliveries` shows it.")]
Status = Annotated[str | None, typer.Option("--status", help="pending, delivered or exhausted.")]
Since = Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%dT%H:%M:%S%z"], help="As 2026-11-22T13:00:00Z.")]
Until = Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%dT%H:%M:%S%z"], help="Without it: now.")]


@app.command("list")
def list_all(*, data_dir: DataDir = DATA_DIR, url: Url = None, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """List everybody's endpoints: how each fares, what is due to it, and since when.

    Example: hishab webhooks list
    """

    async def question(client: Client) -> list[EndpointHealth]:
        return [endpoint async for endpoint in client.endpoints.iterate_all()]

    with plain_speech(as_json=as_json):
        found = ask(question, data_dir=data_dir, url=url, api_key=api_key)
    oldest = min((e.oldest_due_at for e in found if e.oldest_due_at is not None), default=None)
    due = sum(endpoint.due for endpoint in found)
    if as_json:
        summary = {"due": due, "oldest_due_at": None if oldest is None else oldest.isoformat()}
        print(json.dumps({"endpoints": [e.model_dump(mode="json") for e in found], **summary}, indent=2))
        return
    for endpoint in found:
        print(f"{endpoint.id}  {_health(endpoint):<28}{endpoint.due:>7} due  {endpoint.url}")
    print(f"{due} deliveries due" + (f", the oldest since {oldest:%Y-%m-%d %H:%M:%S}Z" if oldest else ""))


@app.command("deliveries")
def list_deliveries(
    endpoint_id: EndpointId,
    *,
    status: Status = None,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List the newest hundred deliveries to an endpoint.

    Example: hishab webhooks deliveries 0198c0de-… --status exhausted
    """

    async def question(client: Client) -> list[Delivery]:
        return await client.endpoints.deliveries(endpoint_id, status=status)

    with plain_speech(as_json=as_json):
        found = ask(question, data_dir=data_dir, url=url, api_key=api_key)
    if as_json:
        print(json.dumps([delivery.model_dump(mode="json") for delivery in found], indent=2))
        return
    for one in found:
        print(f"{one.id}  {one.status:<10}{one.attempt_count:>4} attempts  {one.event_type}  {one.event_id}")


@app.command("resend")
def resend(
    endpoint_id: EndpointId,
    delivery_id: DeliveryId,
    *,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Send a delivery now, whatever became of it.

    Example: hishab webhooks resend 0198c0de-… 0198c0df-…
    """

    async def question(client: Client) -> Delivery:
        return await client.endpoints.resend(endpoint_id, delivery_id)

    with plain_speech(as_json=as_json):
        delivery = ask(question, data_dir=data_dir, url=url, api_key=api_key)
    _say(delivery, f"{delivery.event_type} {delivery.event_id} is on its way.", as_json=as_json)


@app.command("recover")
def recover(
    endpoint_id: EndpointId,
    *,
    since: Since,
    until: Until = None,
    data_dir: DataDir = DATA_DIR,
    url: Url = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Send what happened between two moments and was not delivered.

    Example: hishab webhooks recover 0198c0de-… --since 2026-11-22T13:00:00Z
    """

    async def question(client: Client) -> Recovery:
        return await client.endpoints.recover(endpoint_id, since=since, until=until)

    with plain_speech(as_json=as_json):
        recovery = ask(question, data_dir=data_dir, url=url, api_key=api_key)
    _say(recovery, f"What was not delivered between {recovery.since} and {recovery.until} is sent.", as_json=as_json)


def _say(answer: Answer, sentence: str, *, as_json: bool) -> None:
    print(answer.model_dump_json(indent=2) if as_json else sentence)


def _health(endpoint: EndpointHealth) -> str:
    if not endpoint.enabled:
        return f"disabled ({endpoint.disabled_reason})"
    return f"{endpoint.failures} failures in a row" if endpoint.failures else "healthy"
