"""Show G10: ten endpoints of ten owners, one hangs and one always fails, 200 transfers a second spread over them.

`python -m tests.load.isolation [SECONDS]` starts a system of its own, and says how long after a transfer's end the
other eight were told of it.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from statistics import quantiles
from typing import Any, Final

import httpx2

from shared import clock
from tests.callers import Person, signed_up
from tests.eventually import eventually
from tests.receiver import Received, Receiver, Reply, receiving
from tests.running_system import System, running_system

OWNERS: Final = 10
TRANSFERS_PER_SECOND: Final = 200
TOLD_SECONDS_MAX: Final = 2.0
END_SECONDS_MAX: Final = 60.0


@dataclass(kw_only=True)
class Told:
    """When one owner was told of each transfer, after its end."""

    receiver: Receiver
    late_seconds: dict[str, float] = field(default_factory=dict[str, float])

    def note(self, request: Received) -> Reply:
        """Acknowledge, and note how late it came."""
        data: dict[str, Any] = json.loads(request.body)["data"]
        ended_at = datetime.fromisoformat(data["completed_at"])
        self.late_seconds.setdefault(data["id"], (clock.now() - ended_at).total_seconds())
        return Reply()


def run(system: System, *, seconds: float) -> dict[str, Any]:
    """Have owners pay each other in a ring, and watch what the well ones are told."""
    release = threading.Event()
    with contextlib.ExitStack() as stack:
        people = [stack.enter_context(signed_up(system)) for _ in range(OWNERS)]
        told = [Told(receiver=stack.enter_context(receiving())) for _ in people]
        for one in told:
            one.receiver.answer = one.note
        told[0].receiver.answer = lambda _: Reply(wait_for=release)
        told[1].receiver.answer = lambda _: Reply(status=500)
        for person, one in zip(people, told, strict=True):
            answer = person.http.post("/v1/webhook-endpoints", json={"url": one.receiver.url})
            assert answer.status_code == 201, answer.text
        paid = asyncio.run(_pay(system, people, seconds=seconds))
        # Each pays the next, and both are told.
        owed = [{*paid[n], *paid[n - 1]} for n in range(OWNERS)]
        for n in range(2, OWNERS):
            one, theirs = told[n], owed[n]
            eventually(lambda one=one, theirs=theirs: theirs <= one.late_seconds.keys(), seconds_max=END_SECONDS_MAX)
        release.set()
    late = sorted(seconds for one in told[2:] for seconds in one.late_seconds.values())
    percentiles = quantiles(late, n=100)
    return {
        "transfers_per_second": round(sum(map(len, paid)) / seconds),
        "told": len(late),
        "late_seconds": {"p50": percentiles[49], "p99": percentiles[98], "max": late[-1]},
        "holds": late[-1] <= TOLD_SECONDS_MAX,
    }


async def _pay(system: System, people: Sequence[Person], *, seconds: float) -> list[list[str]]:
    """Send at a fixed rate, whatever the answers take; return the transfers that each person sent."""
    paid: list[list[str]] = [[] for _ in people]
    async with httpx2.AsyncClient(base_url=system.url, timeout=30, trust_env=False) as http:

        async def pay(n: int) -> None:
            person, payee = people[n], people[(n + 1) % len(people)]
            headers = {"Authorization": f"Bearer {person.token}", "Idempotency-Key": token_hex(8)}
            body = {"destination_wallet_id": payee.wallet_id, "amount": 1, "currency": "BDT"}
            answer = await http.post("/v1/transfers", json=body, headers=headers)
            assert answer.status_code == 202, answer.text
            paid[n].append(answer.json()["id"])

        began_seconds = clock.monotonic_seconds()
        async with asyncio.TaskGroup() as under_way:
            for number in range(round(seconds * TRANSFERS_PER_SECOND)):
                due_seconds = began_seconds + number / TRANSFERS_PER_SECOND
                await asyncio.sleep(max(0.0, due_seconds - clock.monotonic_seconds()))
                under_way.create_task(pay(number % len(people)))
    return paid


def main() -> None:
    """Run it once, and say what was seen."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory(prefix="hishab-isolation-") as directory:
        Path(directory).chmod(0o711)
        with running_system(Path(directory) / "data", "--allow-local-webhooks") as system:
            seen = run(system, seconds=seconds)
    sys.stdout.write(json.dumps(seen, indent=2) + "\n")
    sys.exit(0 if seen["holds"] else 1)


if __name__ == "__main__":
    main()
