"""Sign up the people of a chaos run: twenty with a wallet each, two of them busy, some of them told by webhooks."""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.callers import signed_up
from tests.chaos.ears import Ear
from tests.receiver import receiving
from tests.running_system import System

PEOPLE = 20
HOT = 2
"""The first of them, in about half of all transfers."""

LISTENING = 6
REMEMBERED = 300
SCOPES = ("transfers:read", "transfers:write", "wallets:read", "webhooks:manage", "events:read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Something that was accepted, to be asked about and sent again."""

    key: str
    path: str
    body: bytes
    transfer_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """Somebody with a wallet.

    Attributes:
        key: An API key, good for longer than any run.
        ear: Where they are told by webhooks, if they are.
        secret: Which these are signed with.
        sent: The latest of what was accepted from them.
    """

    number: int
    owner_id: str
    wallet_id: str
    key: str = field(repr=False)
    ear: Ear | None = None
    secret: str = field(default="", repr=False)
    sent: deque[Remembered] = field(default_factory=lambda: deque[Remembered](maxlen=REMEMBERED))


@contextmanager
def settled(system: System, *, listening: int = LISTENING, count: int = PEOPLE) -> Generator[Sequence[Resident]]:
    """Sign them up; their receivers run until the block is left. The first ones listen, the busy ones among them."""
    with ExitStack() as stack:
        yield [_settle(system, stack, number=number, listens=number < listening) for number in range(count)]


def _settle(system: System, stack: ExitStack, *, number: int, listens: bool) -> Resident:
    ear, secret = None, ""
    with signed_up(system) as person:
        answer = person.http.post("/v1/api-keys", json={"name": "chaos", "scopes": list(SCOPES)})
        assert answer.status_code == 201, answer.text
        if listens:
            ear = Ear()
            receiver = stack.enter_context(receiving(ear.answer))
            endpoint = person.http.post("/v1/webhook-endpoints", json={"url": receiver.url})
            assert endpoint.status_code == 201, endpoint.text
            secret = endpoint.json()["secret"]
        return Resident(
            number=number,
            owner_id=person.id,
            wallet_id=person.wallet_id,
            key=answer.json()["key"],
            ear=ear,
            secret=secret,
        )
