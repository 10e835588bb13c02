"""Would the checker notice? Each variant is broken in a process of its own; `make broken` shows what else holds it."""

import pytest

from tests.databases import Databases
from tests.simulation.broken import VARIANTS, Variant, run_apart
from tests.simulation.model import Invariant

CAUGHT_BY = {
    "a": Invariant.NO_DOUBLE,
    "b": Invariant.NO_DOUBLE,
    "c": Invariant.WAKE_UPS,
    "d": Invariant.IDEMPOTENCY,
    "e": Invariant.NO_DEADLOCK,
    "f": Invariant.NO_LOSS,
    "g": Invariant.NO_DOUBLE,
}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_is_caught_once_nothing_else_holds_it(databases: Databases, variant: Variant) -> None:
    without = frozenset([*variant.without, *variant.also])
    assert CAUGHT_BY[variant.name[0]] in run_apart(variant, without, databases)
