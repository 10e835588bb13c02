"""Measure what a thousand callers cost who wait for something that does not happen (S14)."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from shared.clock import monotonic_seconds, pause
from tests.load.generator import Job
from tests.load.over_http import TRANSFERS
from tests.load.payments import payments
from tests.load.stage import Stage, answered
from tests.load.system import System, cpu_seconds

WATCHED_SECONDS = 6.0
SETTLE_SECONDS = 3.0
WAIT_SECONDS = 12


def measure(stage: Stage) -> Mapping[str, float]:
    """S14: the processor time of the API and of PostgreSQL with waiters, less that without, in % of a core."""
    with stage.fresh_system() as system:
        system.start("api")
        payment = next(payments(stage.wallets, label="waiting"))
        request = system.server.post(TRANSFERS, payment.body(), key=payment.key)
        (accepted,) = answered(stage, Job(server=system.server, requests=[request]))
        get = system.server.get(f"{TRANSFERS}/{accepted.json()['id']}", prefer=f"wait={WAIT_SECONDS}")
        idle = _busy_percent(stage, system)
        waiters = Job(server=system.server, requests=[get] * stage.size.waiters, connections=stage.size.waiters)
        with ThreadPoolExecutor(max_workers=1) as waiting:
            answers = waiting.submit(stage.generate, waiters)
            pause(SETTLE_SECONDS)
            busy = _busy_percent(stage, system)
            waited = [a.answered_seconds - a.sent_seconds for a in answers.result() if a.status == HTTPStatus.OK]
    assert len(waited) == stage.size.waiters, f"{stage.size.waiters - len(waited)} were not answered with 200"
    assert min(waited) > WAIT_SECONDS / 2, f"somebody waited for {min(waited):.1f} s only"
    return {"S14": max(busy - idle, 0.0)}


def _busy_percent(stage: Stage, system: System) -> float:
    pids = system.processes("api") | stage.servers.processes
    start_seconds, before = monotonic_seconds(), cpu_seconds(pids)
    pause(WATCHED_SECONDS)
    return 100 * (cpu_seconds(pids) - before) / (monotonic_seconds() - start_seconds)
