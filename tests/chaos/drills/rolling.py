"""Restart the parts in turn, as an upgrade does: callers see connections that end, and nothing else."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from secrets import token_hex
from typing import Final

import httpx2
import psycopg

from shared import clock
from tests.chaos.asking import TRANSFERS
from tests.chaos.drills.drill import Drilled, said
from tests.chaos.history import Kind, Operation, Outcome
from tests.chaos.people import Resident
from tests.chaos.world import World
from tests.eventually import eventually

PARTS: Final = ("api", "lanes", "webhooks", "upkeep")
INTERVAL_SECONDS: Final = 5.0
ENDED_CONNECTIONS: Final = frozenset(
    {"ConnectError", "ReadError", "WriteError", "RemoteProtocolError", "ConnectTimeout", "CloseError"}
)
"""Refused, or closed: what a restart does to connections."""

LONG_WAIT_SECONDS: Final = 20
POLL_ARRIVES_SECONDS: Final = 0.5
ANSWERED_SECONDS_MAX: Final = 15.0
HOLD_LANES: Final = "SELECT lane FROM lanes WHERE lane > 0 ORDER BY lane FOR NO KEY UPDATE"


def of_parts(drilled: Drilled) -> None:
    """End one part with SIGTERM every five seconds, in turn; `hishab up` starts it again."""
    world, ended = drilled.world, Counter[str]()
    until_seconds = clock.monotonic_seconds() + drilled.seconds
    polls = _Polls()
    while clock.monotonic_seconds() < until_seconds:
        part = PARTS[ended.total() % len(PARTS)]
        next_seconds = clock.monotonic_seconds() + INTERVAL_SECONDS
        if part == "api":
            polls.end_under(world)
        else:
            world.kill(part, number=signal.SIGTERM)
        ended[part] += 1
        world.pause(max(0.0, next_seconds - clock.monotonic_seconds()))
    drilled.figures |= {"restarts": dict(ended), "long polls and streams when the edge was ended": polls.met}
    drilled.wrong += [f"{times} times {what}" for what, times in _unwanted(drilled.operations).items()]
    drilled.wrong += polls.wrong


def _unwanted(operations: Sequence[Operation]) -> Mapping[str, int]:
    return Counter(f"{o.kind}: {said(o)}" for o in operations if not _is_as_promised(o))


def _is_as_promised(operation: Operation) -> bool:
    if operation.status is None:
        return operation.trouble in ENDED_CONNECTIONS
    if operation.kind is Kind.MISMATCH:
        return operation.code == "idempotency_key_reused"
    return operation.outcome is Outcome.OK


class _Polls:
    """Somebody waits for a transfer that cannot end yet, and somebody listens to it, while the edge is ended."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self.wrong: list[str] = []

    def end_under(self, world: World) -> None:
        """Hold all lanes, have both wait, and end the edge: the poll has to be answered, the stream to be resumed."""
        payer, payee = world.crowd.people[-1], world.crowd.people[-2]
        with psycopg.connect(world.database_url) as holding:
            holding.execute(HOLD_LANES)
            transfer_id = _paid(world, payer, payee)
            listens = threading.Event()
            waiting = [
                threading.Thread(target=self._poll, args=(world, payer, transfer_id)),
                threading.Thread(target=self._listen, args=(world, payer, transfer_id, listens)),
            ]
            for thread in waiting:
                thread.start()
            listens.wait(ANSWERED_SECONDS_MAX)
            world.pause(POLL_ARRIVES_SECONDS)
            world.kill("api", number=signal.SIGTERM)
            for thread in waiting:
                thread.join()
        self._resume(world, payer, transfer_id)

    def _poll(self, world: World, payer: Resident, transfer_id: str) -> None:
        began_seconds = clock.monotonic_seconds()
        try:
            with _asking(world, payer) as http:
                answer = http.get(f"{TRANSFERS}/{transfer_id}", headers={"Prefer": f"wait={LONG_WAIT_SECONDS}"})
        except httpx2.HTTPError as error:
            self.wrong.append(f"a long poll was not answered: {type(error).__name__}")
            return
        took_seconds = clock.monotonic_seconds() - began_seconds
        if answer.status_code != HTTPStatus.OK or took_seconds > ANSWERED_SECONDS_MAX:
            self.wrong.append(f"a long poll was answered with {answer.status_code} after {took_seconds:.1f} s")
        self.met["polls answered"] += 1

    def _listen(self, world: World, payer: Resident, transfer_id: str, listens: threading.Event) -> None:
        try:
            told = _told(world, payer, transfer_id, listens)
        except httpx2.HTTPError:
            self.met["streams cut"] += 1
            return
        self.met["streams ended"] += 1
        if "transfer.queued" not in told or "transfer.succeeded" in told:
            self.wrong.append(f"a stream of a transfer that is queued told {told!r}")

    def _resume(self, world: World, payer: Resident, transfer_id: str) -> None:
        """Listen again, until the ending."""
        eventually(lambda: _is_served(world), seconds_max=60)
        told = _told(world, payer, transfer_id, threading.Event())
        if "transfer.succeeded" not in told and "transfer.failed" not in told:
            self.wrong.append(f"a stream that was resumed told {told!r}")
        self.met["streams resumed"] += 1


def _told(world: World, person: Resident, transfer_id: str, listens: threading.Event) -> str:
    """Listen to a transfer until the stream ends, and give all that it told."""
    told, headers = "", {"Accept": "text/event-stream"}
    with _asking(world, person) as http, http.stream("GET", f"{TRANSFERS}/{transfer_id}/events", headers=headers) as s:
        if s.status_code != HTTPStatus.OK:
            return f"{s.status_code}"
        for piece in s.iter_text():
            told += piece
            listens.set()
    return told


def _asking(world: World, person: Resident) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {person.key}"}
    return httpx2.Client(base_url=world.system.url, headers=headers, timeout=60, trust_env=False)


def _is_served(world: World) -> bool:
    try:
        return httpx2.get(f"{world.system.url}/livez", timeout=5, trust_env=False).is_success
    except httpx2.HTTPError:
        return False


def _paid(world: World, payer: Resident, payee: Resident) -> str:
    """Have somebody pay a little, in the history of the crowd, which is judged; give the transfer's id."""
    crowd = world.crowd
    body = json.dumps({"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}).encode()
    sending = crowd.asking.post(
        Kind.SUBMIT, path=TRANSFERS, key=token_hex(8), body=body, person=payer.number, credentials=payer.key
    )
    return crowd.do(sending).told["id"]
