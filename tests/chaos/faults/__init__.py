"""Collect the faults, by name."""

from collections.abc import Mapping, Sequence

from tests.chaos.fault import Fault
from tests.chaos.faults import broker, clocks, disk, locks, network, postgres, processes, transfers, webhooks

_FAMILIES: tuple[Sequence[Fault], ...] = (
    broker.FAULTS,
    clocks.FAULTS,
    disk.FAULTS,
    locks.FAULTS,
    network.FAULTS,
    postgres.FAULTS,
    processes.FAULTS,
    transfers.FAULTS,
    webhooks.FAULTS,
)

ALL: Mapping[str, Fault] = {fault.name: fault for family in _FAMILIES for fault in family}
