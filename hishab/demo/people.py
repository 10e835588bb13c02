"""Sign people up, log them in, and have each told of their transfers by webhooks of their own."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from hishab.answers import Answer
from hishab.client import Client
from hishab.credentials import Credentials
from hishab.demo.payments import NAMES
from hishab.listen import Listener
from hishab.sending import Request, Sender, parse
from hishab.side_by_side import for_each

PIN: Final = "48151"
PATIENCE_SECONDS: Final = 60.0
# A PIN is hashed slowly on purpose, and with two cores two at a time are as fast as all.
SIGN_UPS_AT_ONCE: Final = 2
CONNECTIONS_EACH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has signed up and logged in."""

    number: int
    name: str
    wallet_id: str
    granted_minor: int
    client: Client = field(repr=False)


class _Grant(Answer):
    amount_minor: int = Field(alias="amount")


class _SignedUp(Answer):
    wallet_id: str
    opening_grant: _Grant


def webhook_path(number: int) -> str:
    """Return where a person is told of things."""
    return f"/{NAMES[number].lower()}"


@asynccontextmanager
async def signed_up(url: str, *, listener: Listener) -> AsyncGenerator[list[Person]]:
    """Sign everybody up, and stay connected within the block.

    Raises:
        HishabError: As `Client` says.
    """
    people: dict[int, Person] = {}
    async with AsyncExitStack() as connections:

        async def join(number: int) -> None:
            people[number] = await _signed_up(url, number=number, connections=connections)
            await _listen(people[number], listener=listener)

        await for_each(range(len(NAMES)), join, at_once_max=SIGN_UPS_AT_ONCE)
        yield [people[number] for number in range(len(NAMES))]


async def _signed_up(url: str, *, number: int, connections: AsyncExitStack) -> Person:
    name = NAMES[number]
    email = f"{name.lower()}@example.com"
    sender = Sender(
        url,
        credentials=Credentials(),
        patience_seconds=PATIENCE_SECONDS,
        first_answer_seconds=PATIENCE_SECONDS,
        connections_max=1,
    )
    try:
        request = Request(method="POST", path="/v1/users", body={"name": name, "email": email, "pin": PIN})
        account = parse(await sender.send(request), _SignedUp)
    finally:
        await sender.close()
    client = Client(
        url,
        credentials=Credentials.log_in(email=email, pin=PIN),
        patience_seconds=PATIENCE_SECONDS,
        connections_max=CONNECTIONS_EACH,
    )
    return Person(
        number=number,
        name=name,
        wallet_id=account.wallet_id,
        granted_minor=account.opening_grant.amount_minor,
        client=await connections.enter_async_context(client),
    )


async def _listen(person: Person, *, listener: Listener) -> None:
    path = webhook_path(person.number)
    endpoint = await person.client.endpoints.add(f"http://127.0.0.1:{listener.port}{path}", description="hishab demo")
    listener.answer_at(path, secret=endpoint.secret)
