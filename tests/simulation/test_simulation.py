"""Does a ledger that is cut, killed, woken wrongly and asked twice do what one clerk would have done?"""

import pytest

from tests.databases import Databases
from tests.simulation.__main__ import command, how_to_replay
from tests.simulation.machine import simulate
from tests.simulation.scripts import SCRIPTS, Script


def test_a_few_simulations_hold(databases: Databases) -> None:
    """`make simulate` does the same for longer. The number is fixed: what passes here, passes everywhere."""
    seen = simulate(databases, seed=20, simulations=12, steps=30)
    assert sum(count for what, count in seen.items() if what.startswith("cut ")) > 5, seen


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_whole_system_gives_the_checker_nothing_to_find(database_url: str, script: Script) -> None:
    assert script(database_url, frozenset()) == []


class TestReplaying:
    def test_is_by_the_same_command(self) -> None:
        assert command(seed=7, simulations=200, steps=40) == "make simulate SEED=7"
        assert command(seed=7, simulations=3, steps=9) == (
            "make simulate SEED=7 SIMULATE_ARGS='--simulations 3 --steps 9'"
        )

    def test_of_the_shortest_failure_alone_is_by_what_hypothesis_printed(self) -> None:
        report = "You can reproduce this … @reproduce_failure('6.170.15', b'AXic=') as a decorator"
        said = how_to_replay(report, again="make simulate SEED=7", seed=7)
        assert said.splitlines()[-1].strip() == "make simulate SEED=7 SIMULATE_ARGS='--blob AXic='"
