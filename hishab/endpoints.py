"""Register webhook endpoints, look at what they were sent, and have it sent again."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from hishab import lists
from hishab.answers import Delivery, Endpoint, EndpointHealth, Page, Recovery
from hishab.lists import PAGE_LIMIT
from hishab.sending import Request, Sender, parse

PATH = "/v1/webhook-endpoints"


class Endpoints:
    """The webhook endpoints of one Hishab. Made by `Client`, whose errors these calls raise."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def add(self, url: str, *, event_types: Sequence[str] | None = None, description: str = "") -> Endpoint:
        """Have events sent to an address from now on. The answer alone has the secret.

        If it is lost, calling again makes a second endpoint: give each address something of its own to find it by.
        """
        body: dict[str, object] = {"url": url, "description": description or None}
        if event_types is not None:
            body["event_types"] = list(event_types)
        return parse(await self._sender.send(Request(method="POST", path=PATH, body=body)), Endpoint)

    async def mine(self) -> list[Endpoint]:
        """Return one's own endpoints: ten at most."""
        answer = await self._sender.send(Request(path=PATH, params=[PAGE_LIMIT]))
        return parse(answer, Page[Endpoint]).data

    async def delete(self, endpoint_id: str) -> None:
        """Have nothing more sent."""
        await self._sender.send(Request(method="DELETE", path=f"{PATH}/{endpoint_id}"))

    async def ping(self, endpoint_id: str) -> Delivery:
        """Have a ping sent, now."""
        return parse(await self._sender.send(Request(method="POST", path=f"{PATH}/{endpoint_id}/test")), Delivery)

    async def delivery(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Return a delivery, with every attempt."""
        answer = await self._sender.send(Request(path=f"{PATH}/{endpoint_id}/deliveries/{delivery_id}"))
        return parse(answer, Delivery)

    async def deliveries(self, endpoint_id: str, *, status: str | None = None) -> list[Delivery]:
        """Return the newest deliveries, a page of them."""
        params = [PAGE_LIMIT] if status is None else [PAGE_LIMIT, ("status", status)]
        answer = await self._sender.send(Request(path=f"{PATH}/{endpoint_id}/deliveries", params=params))
        return parse(answer, Page[Delivery]).data

    async def resend(self, endpoint_id: str, delivery_id: str) -> Delivery:
        """Have a delivery sent now, whatever became of it."""
        path = f"{PATH}/{endpoint_id}/deliveries/{delivery_id}/resend"
        return parse(await self._sender.send(Request(method="POST", path=path)), Delivery)

    async def recover(self, endpoint_id: str, *, since: datetime, until: datetime | None = None) -> Recovery:
        """Have sent what happened between two moments and was not delivered."""
        body = {"since": since.isoformat(), "until": None if until is None else until.isoformat()}
        request = Request(method="POST", path=f"{PATH}/{endpoint_id}/recover", body=body)
        return parse(await self._sender.send(request), Recovery)

    def iterate_all(self) -> AsyncGenerator[EndpointHealth]:
        """Yield everybody's endpoints, newest first, and how each fares. For operators."""
        return lists.items(self._sender, "/v1/system/webhook-endpoints", Page[EndpointHealth])
