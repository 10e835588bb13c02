"""Load a Hishab for minutes as its callers would, all at once: singles, batches, repeated keys, one busy wallet."""

import random
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.clock import monotonic_seconds
from tests.load.checker import Sent
from tests.load.endings import endings_in
from tests.load.figures import percentile, slope_per_minute
from tests.load.generator import Answer, Job
from tests.load.over_http import BATCHES, CONNECTIONS, OPEN_LOOP_SHARE, TRANSFERS
from tests.load.payments import Payment, payments
from tests.load.stage import Stage, answered
from tests.load.system import EVERYTHING, System, memory_mb

BATCH_SHARE = 0.2
BATCH = 20
REPLAYED_SHARE = 0.05
REPLAYED_WITHIN = 1_000
HOT_SHARE = 0.5
PROBE_SECONDS = 5.0
PROBE_REQUESTS = 20_000
LOOK_SECONDS = 1.0
SETTLED_SHARE = 1 / 3
"""From here on memory is looked at: before, a process that has just started fills its caches."""

FLAT_MB_PER_MINUTE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and what it asks for: one payment, or a batch of them."""

    payments: Sequence[Payment]
    is_batch: bool

    def rendered(self, system: System) -> bytes:
        """Render it; the same bytes each time."""
        if self.is_batch:
            body = {"transfers": [payment.body() for payment in self.payments]}
            return system.server.post(BATCHES, body, key=self.payments[0].key)
        return system.server.post(TRANSFERS, self.payments[0].body(), key=self.payments[0].key)

    def sent(self, answer: Answer) -> list[Sent]:
        """Say what was answered."""
        shown = answer.json()
        ids = shown["transfer_ids"] if self.is_batch else [shown["id"]]
        times = (answer.sent_seconds, answer.answered_seconds)
        return [Sent(p.key, transfer_id, *times) for p, transfer_id in zip(self.payments, ids, strict=True)]


@dataclass(slots=True, kw_only=True)
class Memory:
    """What processes held, look by look."""

    seconds: list[float] = field(default_factory=list[float])
    mb: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def slope(self, name: str) -> float:
        """Say by how many MB a minute it rose, once it had settled."""
        start = int(len(self.seconds) * SETTLED_SHARE)
        return slope_per_minute(self.seconds[start:], self.mb[name][start:])


def measure(stage: Stage, *, seconds: float) -> Mapping[str, float]:
    """Load for so long, at a rate that leaves room; count errors, watch memory, take the latency of answers."""
    system = stage.system(*EVERYTHING)
    per_second = _probed_per_second(stage, system) * OPEN_LOOP_SHARE
    requests = _requests(stage, label="mixed", count=int(per_second * seconds))
    job = Job(
        server=system.server,
        requests=[request.rendered(system) for request in requests],
        connections=CONNECTIONS,
        per_second=per_second,
    )
    stage.settle()
    with stage.checked(system) as found, endings_in(system.database_url) as endings, _watched(system) as memory:
        before = endings.count
        answers = stage.generate(job)
        accepted = [answer for answer in answers if answer.status == 202]
        found.sent.extend(_sent(requests, accepted))
        endings.await_count(before + len({sent.transfer_id for sent in found.sent}))
    waited_ms = [1_000 * (answer.answered_seconds - answer.intended_seconds) for answer in answers]
    return {
        "mixed requests/s": per_second,
        "mixed transfers": len({sent.transfer_id for sent in found.sent}),
        "mixed replays": len([answer for answer in accepted if answer.header("Idempotent-Replayed")]),
        "mixed errors": len(answers) - len(accepted),
        "mixed answered p50 ms": percentile(waited_ms, 0.5),
        "mixed answered p99 ms": percentile(waited_ms, 0.99),
        **{f"mixed {name} MB": values[-1] for name, values in memory.mb.items()},
        **{f"mixed {name} MB/minute": memory.slope(name) for name in memory.mb},
    }


def problems(figures: Mapping[str, float]) -> list[str]:
    """Say what was not as it should be."""
    found = [f"{figures['mixed errors']:.0f} requests were not accepted"] if figures["mixed errors"] else []
    for name, value in figures.items():
        if name.endswith("MB/minute") and value > FLAT_MB_PER_MINUTE:
            found.append(f"{name} is {value:.1f}, more than {FLAT_MB_PER_MINUTE}")
    return found


def _probed_per_second(stage: Stage, system: System) -> float:
    """Say how many requests of all these kinds a second the system takes and applies at most."""
    requests = _requests(stage, label="mixed-probe", count=PROBE_REQUESTS)
    job = Job(
        server=system.server,
        requests=[request.rendered(system) for request in requests],
        connections=CONNECTIONS,
        seconds_max=PROBE_SECONDS,
    )
    with endings_in(system.database_url) as endings:
        before = endings.count
        answers = answered(stage, job)
        ended_seconds = endings.await_count(before + len({sent.transfer_id for sent in _sent(requests, answers)}))
    return len(answers) / (ended_seconds - min(answer.sent_seconds for answer in answers))


def _requests(stage: Stage, *, label: str, count: int) -> list[Request]:
    chance = random.Random(label)
    spread = payments(stage.wallets, label=label)
    hot = payments(stage.wallets, label=f"{label}-hot", into=stage.wallets.hot)
    requests: list[Request] = []
    for _ in range(count):
        if requests and chance.random() < REPLAYED_SHARE:
            requests.append(chance.choice(requests[-REPLAYED_WITHIN:]))
            continue
        is_batch = chance.random() < BATCH_SHARE
        planned = [next(hot if chance.random() < HOT_SHARE else spread) for _ in range(BATCH if is_batch else 1)]
        requests.append(Request(payments=planned, is_batch=is_batch))
    return requests


def _sent(requests: Sequence[Request], answers: Iterable[Answer]) -> list[Sent]:
    return [sent for answer in answers for sent in requests[answer.place].sent(answer)]


@contextmanager
def _watched(system: System) -> Generator[Memory]:
    memory = Memory()
    stopping = threading.Event()

    def look() -> None:
        while not stopping.wait(LOOK_SECONDS):
            memory.seconds.append(monotonic_seconds())
            for name in ("api", "lanes", "webhooks"):
                held = max(memory_mb(pid) for pid in system.processes(name))
                memory.mb.setdefault(name, []).append(held)

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield memory
    finally:
        stopping.set()
        thread.join()
