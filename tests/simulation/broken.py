"""Check the checker: take away, one after the other, what holds a promise, and see that it is noticed.

`make broken` prints which invariant caught each variant. What is taken away is taken from a process and a database of
its own, which are thrown away afterwards. One mechanism alone is often not missed, since a second one
holds the same promise: then that is taken away too, until it is; and each is put back alone, to see that it holds.

A script is a simulation whose steps are chosen by hand: two who meet, statement by statement, without any chance.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.databases import Databases, forgetful_postgres
from tests.simulation.mechanisms import MECHANISMS
from tests.simulation.scripts import (
    Script,
    come_late_into_the_middle,
    deadlock,
    lose_the_broker,
    wait_for_the_lane,
    wake_before_commit,
    work_in_the_middle,
)

RUN_SECONDS_MAX: Final = 120.0

APPLIED_ONCE: Final = (
    "unique entries (transfer_id, wallet_id)",
    "unique events (transfer_id, version)",
    "unique events (lane, number)",
    "row count",
    "check lanes_busy_is_by_somebody",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to break it.

    Attributes:
        without: The mechanisms that it lacks.
        also: What is taken away next, one after the other, until somebody notices.
        script: The steps that bring it out.
    """

    name: str
    without: Sequence[str]
    also: Sequence[str]
    script: Script


VARIANTS: Final[Sequence[Variant]] = (
    Variant(
        name="a: row count and unique (transfer_id, version) removed",
        without=("row count", "unique events (transfer_id, version)"),
        also=(
            "lane lock",
            "unique entries (transfer_id, wallet_id)",
            "unique events (lane, number)",
            "check lanes_busy_is_by_somebody",
        ),
        script=work_in_the_middle,
    ),
    Variant(name="b: lane lock removed", without=("lane lock",), also=APPLIED_ONCE, script=work_in_the_middle),
    Variant(name="c: wake-up before commit", without=("wake-up after commit",), also=(), script=wake_before_commit),
    Variant(
        name="c, and upkeep does not sweep",
        without=("wake-up after commit", "sweep"),
        also=(),
        script=wake_before_commit,
    ),
    Variant(name="d: idempotency kept in the broker", without=("keys in PostgreSQL",), also=(), script=lose_the_broker),
    Variant(
        name="e: no ORDER BY in the wallet lock",
        without=("order of wallet locks",),
        also=("one order of asking",),
        script=deadlock,
    ),
    Variant(
        name="f: delete by range",
        without=("exact positions",),
        also=("row count",),
        script=come_late_into_the_middle,
    ),
    Variant(
        name="g: lane lock and queue read in one statement",
        without=("statements apart",),
        also=("holder's mark", *APPLIED_ONCE),
        script=wait_for_the_lane,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """What became of a variant.

    Attributes:
        held_by: Each of these alone, put back, keeps it from doing harm.
        by: The invariants that do not hold without all of them.
    """

    variant: Variant
    held_by: Sequence[str]
    by: Sequence[str]


def catch(variant: Variant, databases: Databases) -> Caught:
    """Take away more and more until it is noticed; then put each back alone.

    Raises:
        AssertionError: It is never noticed, or something is noticed that is not broken.
    """
    without, rest = list(variant.without), list(variant.also)
    while not (by := run_apart(variant, frozenset(without), databases)):
        assert rest, f"{variant.name}: nobody notices, without {without}"
        without.append(rest.pop(0))
    held_by = [one for one in without if not run_apart(variant, frozenset(without) - {one}, databases)]
    return Caught(variant=variant, held_by=held_by, by=by)


def run_apart(variant: Variant, without: frozenset[str], databases: Databases) -> Sequence[str]:
    """Run a script in a process of its own, and say which invariants do not hold."""
    with databases.fresh() as database_url:
        words = ["--database", database_url, "--variant", variant.name, "--without", json.dumps(sorted(without))]
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation.broken", *words],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout.splitlines()[-1])


def table(caught: Sequence[Caught]) -> str:
    """Say it as a page has it."""
    lines = ["| variant | also held by, each alone | without all of them caught by |", "|---|---|---|"]
    for one in caught:
        others = [name for name in one.held_by if name not in one.variant.without]
        lines.append(f"| {one.variant.name} | {' · '.join(others) or 'nothing'} | {' · '.join(one.by)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Catch all of them, or be the process in which one thing is broken."""
    options = _options()
    if options.database is not None:
        variant = next(variant for variant in VARIANTS if variant.name == options.variant)
        without = frozenset[str](json.loads(options.without))
        for name in without:
            MECHANISMS[name].remove(options.database)
        sys.stdout.write(json.dumps(variant.script(options.database, without)) + "\n")
        return
    with forgetful_postgres() as server:
        databases = Databases.on(server.url)
        chosen = [variant for variant in VARIANTS if variant.name.startswith(options.variant or "")]
        sys.stdout.write(table([catch(variant, databases) for variant in chosen]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.broken", description=__doc__)
    parser.add_argument("--variant", help="the beginning of a variant's name; all of them if not given")
    parser.add_argument("--database", help="run one script on this database, and break it")
    parser.add_argument("--without", default="[]", help="the mechanisms that are taken away, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
