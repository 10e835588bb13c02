"""A transfer that nobody survives applying ends as unprocessable, alone; the alarm is raised once, and counts one.

`POISON_AMONG=10000` sends it among so many.
"""

import os
from pathlib import Path
from signal import SIGSEGV
from typing import Final

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from shared.domain.acceptance import Accepted
from tests.crashing.walk import Crashing
from tests.edge_process import edge_process
from tests.eventually import eventually
from tests.ledger import Ledger
from worker.lanes.apply import ATTEMPTS_MAX, CAREFUL_BATCH_MAX

AMONG: Final = int(os.environ.get("POISON_AMONG", "100"))
GROUP_MAX: Final = 500
STAYS_MAX: Final = 1_000

# Of the batch that it stands in, of the next one that a batch too many was enough for, and of those with care, each of
# which leaves half as many before it.
DEATHS_NOT_ALONE_MAX: Final = 2 + CAREFUL_BATCH_MAX.bit_length()


@pytest.mark.parametrize(("how", "kills"), [("raise", False), ("segv", True)])
def test_ends_alone_and_everything_else_succeeds(crashing: Crashing, tmp_path: Path, how: str, *, kills: bool) -> None:
    ledger = crashing.ledger
    source, destination = ledger.wallet(holding=AMONG), ledger.wallet()
    accepted = [
        acceptance.transfer.id
        for start in range(0, AMONG, GROUP_MAX)
        for acceptance in ledger.accept(
            [ledger.request(source, destination, 1) for _ in range(min(GROUP_MAX, AMONG - start))]
        )
        if isinstance(acceptance, Accepted)
    ]
    poison = accepted[AMONG // 2]
    deaths = work_to_the_end(crashing, crash=f"{how} before worker.decide of {poison}")
    assert len(accepted) == AMONG
    assert ledger.value("SELECT array_agg(transfer_id) FROM events WHERE failure_code IS NOT NULL") == [poison]
    assert ledger.ending(poison) == "unprocessable"
    assert ledger.order_of_debits(source) == [transfer_id for transfer_id in accepted if transfer_id != poison]
    assert ledger.balance(destination) == AMONG - 1
    assert ledger.violations() == []
    alarms = [line for line in crashing.log.read_text().splitlines() if "transfer.unprocessable" in line]
    assert len([line for line in alarms if str(poison) in line]) == 1
    assert unprocessable_by_metrics(ledger, tmp_path) == 1
    assert (ATTEMPTS_MAX < deaths <= ATTEMPTS_MAX + DEATHS_NOT_ALONE_MAX) if kills else deaths == 0


def unprocessable_by_metrics(ledger: Ledger, place: Path) -> float:
    """Read over HTTP how many an operator is alarmed about."""
    with edge_process(ledger, place) as edge:

        def look() -> list[Metric]:
            families = text_string_to_metric_families(edge.http.get("/metrics").text)
            return [family for family in families if family.name == "hishab_unprocessable_transfers"]

        # It is not told where PostgreSQL took too long to say it.
        (family,) = eventually(look)
        (sample,) = family.samples
        return sample.value


def work_to_the_end(crashing: Crashing, *, crash: str) -> int:
    """Have the lane worked by one process after the other until it is empty; say how many of them died."""
    deaths = 0
    for _ in range(STAYS_MAX):
        exit_code = crashing.run("lane", crash=crash)
        assert exit_code in {0, -SIGSEGV}
        deaths += exit_code != 0
        assert deaths <= ATTEMPTS_MAX + DEATHS_NOT_ALONE_MAX, "it kills for ever"
        crashing.let_time_pass()
        if crashing.ledger.value("SELECT count(*) FROM queue") == 0:
            return deaths
    raise AssertionError("the lane is never empty")
