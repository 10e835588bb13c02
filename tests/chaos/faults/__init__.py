"""Collect the faults, by name."""

from collections.abc import Mapping, Sequence

from tests.chaos.fault import Fault

_FAMILIES: tuple[Sequence[Fault], ...] = ()

ALL: Mapping[str, Fault] = {fault.name: fault for family in _FAMILIES for fault in family}
