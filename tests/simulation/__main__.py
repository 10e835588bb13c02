"""Simulate as often as one likes: `make simulate SEED=7 SIMULATE_ARGS="--simulations 500 --steps 60"`.

A failure is made as short as it can be, and printed with the commands that do the same again.
"""

import argparse
import random
import re
import shlex
import sys
import traceback
from collections.abc import Mapping
from typing import Final

import structlog

from tests.databases import Databases, forgetful_postgres
from tests.simulation.machine import simulate

SIMULATIONS: Final = 200
STEPS: Final = 40
BLOB: Final = re.compile(r"@reproduce_failure\('[^']+', b'([^']+)'\)")


def main() -> None:
    """Simulate, say what was seen to happen, and end with 1 if something did not hold."""
    options = _options()
    again = command(seed=options.seed, simulations=options.simulations, steps=options.steps)
    sys.stdout.write(f"{again}\n")
    # A simulation is nothing but trouble: it is counted, and not logged.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    blob = None if options.blob is None else options.blob.encode()
    with forgetful_postgres() as server:
        databases = Databases.on(server.url)
        try:
            seen = simulate(
                databases, seed=options.seed, simulations=options.simulations, steps=options.steps, blob=blob
            )
        except Exception:  # noqa: BLE001 (whatever it is, it is printed with the command that brings it back)
            report = traceback.format_exc()
            sys.stdout.write(f"{report}\n{how_to_replay(report, again=again, seed=options.seed)}\n")
            sys.exit(1)
    sys.stdout.write(summary(seen))


def command(*, seed: int, simulations: int, steps: int) -> str:
    """Give the command that simulates the same again."""
    chosen = {"--simulations": (simulations, SIMULATIONS), "--steps": (steps, STEPS)}
    words = [f"{name} {value}" for name, (value, usual) in chosen.items() if value != usual]
    arguments = f" SIMULATE_ARGS={shlex.quote(' '.join(words))}" if words else ""
    return f"make simulate SEED={seed}{arguments}"


def how_to_replay(report: str, *, again: str, seed: int) -> str:
    """Say how to see a failure again: the whole run, or its last simulation alone."""
    lines = ["To see it again:", f"  {again}"]
    if found := BLOB.search(report):
        lines += ["The shortest one alone:", f"  make simulate SEED={seed} SIMULATE_ARGS='--blob {found[1]}'"]
    return "\n".join(lines)


def summary(seen: Mapping[str, int]) -> str:
    """Say how often what happened."""
    return "".join(f"{count:6} {what}\n" for what, count in sorted(seen.items()) if count) + "everything held\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="each on a database of its own")
    parser.add_argument("--steps", type=int, default=STEPS, help="in each, at most")
    parser.add_argument("--blob", help="what was printed of a failure: that one alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
