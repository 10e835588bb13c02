"""Be the clients of a chaos run: fifty at once, who pay, repeat themselves, contradict themselves, read and wait."""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tests.chaos.asking import BATCHES, COME_BACK, READY, TRANSFERS, WALLETS, Asking
from tests.chaos.history import History, Kind, Operation, Outcome
from tests.chaos.people import HOT, Remembered, Resident

CLIENTS: Final = 50
PAUSE_SECONDS: Final = 0.35
"""Between two things that a client does, on average. The load is there to be broken, not to be heavy."""

HOT_SHARE: Final = 0.5
WAIT_SHARE: Final = 0.1
ABANDONED_SHARE: Final = 0.1
"""Of attempts that came to nothing, those after which a client gives up. Otherwise it tries until it is accepted."""

BATCH: Final = (2, 20)
RETRY_SECONDS: Final = (0.1, 1.0)
READY_SECONDS: Final = 0.25
REST_SECONDS: Final = 0.05
TASTES: Final[dict[str, float]] = {
    "submit": 60,
    "replay": 5,
    "mismatch": 2,
    "batch": 3,
    "read": 14,
    "wait": 6,
    "read wallet": 10,
}
AMOUNTS: Final = ((0.70, 1, 1_000), (0.25, 1_000, 50_000), (0.05, 100_000, 600_000))
"""Shares, and from where to where: some are more than anybody holds."""

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class Crowd:
    """All clients, in a thread and an event loop of their own.

    Attributes:
        stopping: No client begins anything new any more, nor gives anything up.
        resting: Nor while this is set.
        unsettled: What was sent and is not known to be accepted, by key: sent again until it is.
    """

    url: str
    people: Sequence[Resident]
    history: History
    seed: int
    clients: int = CLIENTS
    stopping: threading.Event = field(default_factory=threading.Event)
    resting: threading.Event = field(default_factory=threading.Event)
    unsettled: dict[str, "Request"] = field(default_factory=dict[str, "Request"])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _asking: Asking | None = None
    _living: "list[asyncio.Task[None]]" = field(default_factory=list["asyncio.Task[None]"])
    _keys: int = 0

    def start(self) -> None:
        """Begin."""
        self._asking = Asking.of(self.url, history=self.history)
        self._thread = threading.Thread(target=self._loop.run_forever, name="crowd", daemon=True)
        self._thread.start()
        self.do(self._begin())

    def stop(self, *, seconds_max: float) -> list[str]:
        """Let every client end what it has begun; give the keys of what could not be settled in that time."""
        self.stopping.set()
        return self.do(self._settle(seconds_max=seconds_max))

    def close(self) -> None:
        """Hang up."""
        if self._thread is None:
            return
        self.stopping.set()
        self.do(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def batch(self, *, source: int, payments: Sequence[tuple[int, int]]) -> bool:
        """Have somebody pay others, given as numbers and amounts, all in one batch; say whether it was accepted."""
        return self.do(self._pay(source, payments))

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the loop of the crowd, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def asking(self) -> Asking:
        """The way to the system."""
        assert self._asking is not None, "the crowd has not started"
        return self._asking

    async def _begin(self) -> None:
        for number in range(self.clients):
            chance = random.Random(f"{self.seed}/{number}")
            self._living.append(asyncio.create_task(self._live(chance)))
        self._living.append(asyncio.create_task(self._look_whether_ready()))

    async def _live(self, chance: random.Random) -> None:
        acts: dict[str, Callable[[random.Random], Coroutine[Any, Any, None]]] = {
            "submit": self._submit,
            "replay": self._replay,
            "mismatch": self._mismatch,
            "batch": self._batch,
            "read": self._read,
            "wait": self._wait,
            "read wallet": self._read_wallet,
        }
        while not self.stopping.is_set():
            if self.resting.is_set():
                await asyncio.sleep(REST_SECONDS)
                continue
            (taste,) = chance.choices(list(TASTES), weights=list(TASTES.values()))
            await acts[taste](chance)
            await asyncio.sleep(chance.expovariate(1 / PAUSE_SECONDS))

    async def _submit(self, chance: random.Random) -> None:
        payer = self._somebody(chance)
        body = self._payment(payer, chance=chance)
        prefer = "wait=2" if chance.random() < WAIT_SHARE else None
        await self._send(self._request(payer, TRANSFERS, body, prefer=prefer), chance=chance)

    async def _batch(self, chance: random.Random) -> None:
        payer = self._somebody(chance)
        items = [self._payment(payer, chance=chance) for _ in range(chance.randint(*BATCH))]
        await self._send(self._request(payer, BATCHES, {"transfers": items}), chance=chance)

    async def _send(self, request: "Request", *, chance: random.Random) -> bool:
        """Send until it is known to be accepted, as a good client does, and say whether it is; some give up."""
        self.unsettled[request.key] = request
        while not self.stopping.is_set():
            operation = await self._post(request, kind=Kind.SUBMIT if request.path == TRANSFERS else Kind.BATCH)
            if operation.outcome is Outcome.OK:
                return True
            if not _may_come_back(operation) or chance.random() < ABANDONED_SHARE:
                del self.unsettled[request.key]
                return False
            await asyncio.sleep(chance.uniform(*RETRY_SECONDS))
        return False

    async def _post(self, request: "Request", *, kind: Kind) -> Operation:
        person = self.people[request.person]
        operation = await self.asking.post(
            kind,
            path=request.path,
            key=request.key,
            body=request.body,
            person=request.person,
            credentials=person.key,
            prefer=request.prefer,
        )
        if operation.outcome is Outcome.OK:
            told = operation.told
            ids = told["transfer_ids"] if request.path == BATCHES else [told["id"]]
            if self.unsettled.pop(request.key, None):
                remembered = Remembered(key=request.key, path=request.path, body=request.body, transfer_ids=ids)
                person.sent.append(remembered)
        return operation

    async def _replay(self, chance: random.Random) -> None:
        person, sent = self._something_sent(chance)
        if sent:
            kind = Kind.REPLAY if sent.path == TRANSFERS else Kind.REPLAY_BATCH
            request = Request(key=sent.key, path=sent.path, body=sent.body, person=person.number)
            await self._post(request, kind=kind)

    async def _mismatch(self, chance: random.Random) -> None:
        person, sent = self._something_sent(chance)
        if sent and sent.path == TRANSFERS:
            body = json.loads(sent.body)
            other = json.dumps({**body, "amount": body["amount"] + 1}).encode()
            await self._post(
                Request(key=sent.key, path=sent.path, body=other, person=person.number), kind=Kind.MISMATCH
            )

    async def _read(self, chance: random.Random, *, prefer: str | None = None) -> None:
        person, sent = self._something_sent(chance)
        if sent:
            transfer_id = chance.choice(sent.transfer_ids)
            path = f"{TRANSFERS}/{transfer_id}"
            await self.asking.get(
                Kind.READ, path=path, about=transfer_id, person=person.number, credentials=person.key, prefer=prefer
            )

    async def _wait(self, chance: random.Random) -> None:
        await self._read(chance, prefer="wait=5")

    async def _read_wallet(self, chance: random.Random) -> None:
        person = self._somebody(chance)
        path = f"{WALLETS}/{person.wallet_id}"
        await self.asking.get(
            Kind.READ_WALLET, path=path, about=person.wallet_id, person=person.number, credentials=person.key
        )

    async def _look_whether_ready(self) -> None:
        while not self.stopping.is_set():
            await self.asking.get(Kind.READY, path=READY, about=READY)
            await asyncio.sleep(READY_SECONDS)

    async def _pay(self, source: int, payments: Sequence[tuple[int, int]]) -> bool:
        items = [self._item(self.people[payee], amount=amount) for payee, amount in payments]
        request = self._request(self.people[source], BATCHES, {"transfers": items})
        return await self._send(request, chance=random.Random(f"{self.seed}/{request.key}"))

    async def _settle(self, *, seconds_max: float) -> list[str]:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await asyncio.gather(*self._living)
                while self.unsettled:
                    for request in list(self.unsettled.values()):
                        await self._post(request, kind=Kind.SUBMIT if request.path == TRANSFERS else Kind.BATCH)
                    await asyncio.sleep(RETRY_SECONDS[0])
        return list(self.unsettled)

    async def _hang_up(self) -> None:
        for living in self._living:
            living.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        await self.asking.http.aclose()

    def _request(self, payer: Resident, path: str, body: object, *, prefer: str | None = None) -> "Request":
        self._keys += 1
        key = f"chaos-{self.seed}-{self._keys}"
        return Request(key=key, path=path, body=json.dumps(body).encode(), person=payer.number, prefer=prefer)

    def _payment(self, payer: Resident, *, chance: random.Random) -> dict[str, Any]:
        payee = self._somebody(chance)
        while payee is payer:
            payee = chance.choice(self.people)
        (range_,) = chance.choices(AMOUNTS, weights=[share for share, *_ in AMOUNTS])
        return self._item(payee, amount=chance.randint(*range_[1:]))

    @staticmethod
    def _item(payee: Resident, *, amount: int) -> dict[str, Any]:
        return {"destination_wallet_id": payee.wallet_id, "amount": amount, "currency": "BDT"}

    def _somebody(self, chance: random.Random) -> Resident:
        return chance.choice(self.people[:HOT] if chance.random() < HOT_SHARE else self.people)

    def _something_sent(self, chance: random.Random) -> tuple[Resident, Remembered | None]:
        person = self._somebody(chance)
        return person, chance.choice(person.sent) if person.sent else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Something to send, the same bytes each time."""

    key: str
    path: str
    body: bytes
    person: int
    prefer: str | None = None


def _may_come_back(operation: Operation) -> bool:
    """Say whether the same request may be accepted later."""
    return operation.outcome is Outcome.UNKNOWN or operation.status is None or operation.status in COME_BACK
