"""Show G8: kill -9 the webhook worker and the lane worker at random under load, then look at what receivers were told.

`python -m tests.load.killed_workers [SECONDS [SEED]]` starts a system of its own.
"""

import contextlib
import json
import random
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from shared import clock
from tests.callers import Person, ended, pay, signed_up
from tests.eventually import eventually
from tests.receiver import Received, Receiver, Reply, receiving
from tests.running_system import System, running_system

PEOPLE: Final = 4
SENDERS: Final = 8
REFUSED_SHARE: Final = 0.2
"""Of the transfers, more than the payer has; and as much of what receivers answer."""

TOO_MUCH: Final = 10**9
END_SECONDS_MAX: Final = 180.0
RETRIES: Final = "0.5,1,1,2,2,2,2,2,2,2,2,2,2,2,2"
VICTIMS: Final[Sequence[str]] = ("webhooks", "lanes")


def run(system: System, *, seconds: float, seed: int) -> dict[str, Any]:
    """Send, kill, and once all is told, say what is wrong with it."""
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        people = [stack.enter_context(signed_up(system)) for _ in range(PEOPLE)]
        receivers = [stack.enter_context(receiving(_unsteady(chance))) for _ in people]
        secrets = [_listen(person, receiver) for person, receiver in zip(people, receivers, strict=True)]
        sent: list[tuple[int, int, str]] = []
        stopping = threading.Event()
        with ThreadPoolExecutor(SENDERS) as senders:
            sending = [
                senders.submit(_send, people, sent, stopping, random.Random(f"{seed}/{n}")) for n in range(SENDERS)
            ]
            killed = _kill(system, seconds=seconds, chance=chance)
            stopping.set()
        for one in sending:
            one.result()
        statuses = {transfer_id: ended(people[payer].http, transfer_id)["status"] for payer, _, transfer_id in sent}
        owed = _owed(sent, statuses)
        for receiver, theirs in zip(receivers, owed, strict=True):
            eventually(
                lambda receiver=receiver, theirs=theirs: theirs <= _told(receiver).keys(),
                seconds_max=END_SECONDS_MAX,
                otherwise=lambda receiver=receiver, theirs=theirs: f"{len(theirs - _told(receiver).keys())} missing",
            )
        wrong = [
            f"{n}: {complaint}"
            for n in range(PEOPLE)
            for complaint in _complaints(people[n], receivers[n], secret=secrets[n], owed=owed[n], sent=sent, n=n)
        ]
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for receiver in receivers:
        for transfer_id, requests in _told(receiver).items():
            ids[transfer_id] |= {request.headers["webhook-id"] for request in requests}
    wrong += [f"{transfer_id} was told of under several ids" for transfer_id, found in ids.items() if len(found) > 1]
    requests = sum(len(receiver.received) for receiver in receivers)
    return {
        "seed": seed,
        "transfers": len(sent),
        "refused": sum(status == "failed" for status in statuses.values()),
        "owed": sum(map(len, owed)),
        "requests": requests,
        "killed": killed,
        "wrong": wrong,
    }


def _unsteady(chance: random.Random) -> Callable[[Received], Reply]:
    return lambda _: Reply(status=503 if chance.random() < REFUSED_SHARE else 200)


def _listen(person: Person, receiver: Receiver) -> str:
    answer = person.http.post("/v1/webhook-endpoints", json={"url": receiver.url})
    assert answer.status_code == 201, answer.text
    return answer.json()["secret"]


def _send(
    people: Sequence[Person], sent: list[tuple[int, int, str]], stopping: threading.Event, chance: random.Random
) -> None:
    while not stopping.is_set():
        payer, payee = chance.sample(range(PEOPLE), 2)
        amount = TOO_MUCH if chance.random() < REFUSED_SHARE else 1
        fields = {"metadata": {"payers": "own"}}
        answer = pay(people[payer].http, to=people[payee].wallet_id, amount=amount, key=token_hex(8), fields=fields)
        assert answer.status_code == 202, answer.text
        sent.append((payer, payee, answer.json()["id"]))


def _kill(system: System, *, seconds: float, chance: random.Random) -> dict[str, int]:
    """Kill one or the other, again and again."""
    killed: dict[str, int] = dict.fromkeys(VICTIMS, 0)
    until_seconds = clock.monotonic_seconds() + seconds
    while clock.monotonic_seconds() < until_seconds:
        victim = chance.choice(VICTIMS)
        pid = system.kill(victim)
        killed[victim] += 1
        system.await_restart(victim, of=pid)
        clock.pause(chance.random() * 2)
    return killed


def _owed(sent: Sequence[tuple[int, int, str]], statuses: dict[str, str]) -> list[set[str]]:
    """Say of which transfers each is to be told: the payer of all, the payee of what succeeded."""
    return [
        {t for payer, payee, t in sent if n == payer or (n == payee and statuses[t] == "succeeded")}
        for n in range(PEOPLE)
    ]


def _told(receiver: Receiver) -> dict[str, list[Received]]:
    told: defaultdict[str, list[Received]] = defaultdict(list)
    for request in list(receiver.received):
        told[json.loads(request.body)["data"]["id"]].append(request)
    return told


def _complaints(
    person: Person, receiver: Receiver, *, secret: str, owed: set[str], sent: Sequence[tuple[int, int, str]], n: int
) -> list[str]:
    payers = {transfer_id: payer for payer, _, transfer_id in sent}
    told, wrong = _told(receiver), list[str]()
    # What they were given on signing up was applied before they listened.
    wrong += [f"was told of {transfer_id}, which is none of theirs" for transfer_id in told.keys() - owed]
    for transfer_id, requests in told.items():
        if len({request.body for request in requests}) > 1:
            wrong.append(f"{transfer_id} came in several forms")
        event, *_ = [request.verified(secret) for request in requests]
        is_payer = payers.get(transfer_id) == n
        if not is_payer and (event["type"] == "transfer.failed" or event["data"]["metadata"] is not None):
            wrong.append(f"{transfer_id} tells {person.id} what is the payer's alone")
        if is_payer and event["data"]["metadata"] != {"payers": "own"}:
            wrong.append(f"{transfer_id} does not tell its payer all")
    return wrong


def main() -> None:
    """Run it once, and say what was seen."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory(prefix="hishab-killed-") as directory:
        Path(directory).chmod(0o711)
        environment = {"HISHAB_WEBHOOK_RETRY_SECONDS": RETRIES}
        with running_system(Path(directory) / "data", "--allow-local-webhooks", environment=environment) as system:
            seen = run(system, seconds=seconds, seed=seed)
    sys.stdout.write(json.dumps(seen, indent=2) + "\n")
    sys.exit(1 if seen["wrong"] else 0)


if __name__ == "__main__":
    main()
