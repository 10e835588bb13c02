"""Send more than may wait, while nobody applies anything: callers are told to come back, and nothing else happens."""

from collections.abc import Mapping
from dataclasses import replace

from tests.load.checker import Sent
from tests.load.endings import endings_in
from tests.load.generator import Job
from tests.load.over_http import CONNECTIONS, TRANSFERS
from tests.load.payments import payments
from tests.load.stage import Stage
from tests.load.system import EVERYTHING, memory_mb

BACKLOG_MAX = 300
SETTINGS = {"HISHAB_INTAKE_WAITING_MAX": "32", "HISHAB_BACKLOG_MAX": str(BACKLOG_MAX)}
"""Fewer than send at once, and than are sent."""

REQUESTS = 20_000
FIRST_REQUESTS = 2_000
"""Fill the queue, and let the process meet what it has not met yet: from here on it is not to grow."""

SECONDS_MAX = 8.0
FLAT_MB = 10.0


def measure(stage: Stage) -> Mapping[str, float]:
    """Count who was accepted and who was turned away; start the workers, and see every accepted transfer end."""
    with stage.fresh_system(SETTINGS) as system:
        system.start("api")
        source = payments(stage.wallets, label="queue-full")
        planned = [next(source) for _ in range(REQUESTS)]
        requests = [system.server.post(TRANSFERS, payment.body(), key=payment.key) for payment in planned]
        with stage.checked(system) as found, endings_in(system.database_url) as endings:
            before = endings.count
            job = Job(server=system.server, requests=requests, connections=CONNECTIONS, seconds_max=SECONDS_MAX)
            answers = stage.generate(replace(job, requests=requests[:FIRST_REQUESTS]))
            full_mb = memory_mb(system.pids["api"])
            # Not sent anew: whoever was accepted would be again, by their keys.
            later = stage.generate(replace(job, requests=requests[FIRST_REQUESTS:]))
            grown_mb = memory_mb(system.pids["api"]) - full_mb
            answers += [answer._replace(place=answer.place + FIRST_REQUESTS) for answer in later]
            accepted = [answer for answer in answers if answer.status == 202]
            turned_away = [answer for answer in answers if answer.status == 503 and answer.header("Retry-After")]
            found.sent.extend(
                Sent(planned[a.place].key, a.json()["id"], a.sent_seconds, a.answered_seconds) for a in accepted
            )
            system.start(*EVERYTHING)
            system.wake(1)
            endings.await_count(before + len(accepted))
    return {
        "queue full, accepted": len(accepted),
        "queue full, turned away with 503 and Retry-After": len(turned_away),
        "queue full, anything else": len(answers) - len(accepted) - len(turned_away),
        "queue full, MB held": full_mb,
        "queue full, MB grown": grown_mb,
    }


def problems(figures: Mapping[str, float]) -> list[str]:
    """Say what was not as it should be."""
    found: list[str] = []
    if figures["queue full, accepted"] < BACKLOG_MAX or not figures["queue full, turned away with 503 and Retry-After"]:
        found.append("the queue was never full")
    if figures["queue full, anything else"]:
        found.append("some were neither accepted nor told to come back")
    if figures["queue full, MB grown"] > FLAT_MB:
        found.append(f"memory grew by {figures['queue full, MB grown']:.0f} MB")
    return found
