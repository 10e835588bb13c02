"""Run a drill and print its figures; exit with 1 if it does not hold: `python -m tests.chaos.drills NAME [SECONDS]`."""

import json
import random
import sys
from collections.abc import Mapping
from typing import Final

from tests.chaos.drills import held_snapshot, no_broker, restarts, rolling
from tests.chaos.drills.drill import Drill, run

DRILLS: Final[Mapping[str, Drill]] = {
    "no-broker": Drill(does=no_broker.without_a_broker, seconds=60),
    "restarts": Drill(does=restarts.of_postgres, seconds=300),
    "rolling": Drill(does=rolling.of_parts, seconds=120),
    # Nobody is told: webhooks would fall far behind this load, and the drill is over when all has been told.
    "held-snapshot": Drill(does=held_snapshot.during_a_snapshot, seconds=300, listening=0),
}


def main() -> None:
    """Run the drill that is named, for as long as is asked for."""
    name, *rest = sys.argv[1:] or [""]
    if name not in DRILLS:
        sys.exit(f"usage: python -m tests.chaos.drills {' | '.join(DRILLS)} [SECONDS [SEED]]")
    drill = DRILLS[name]
    seconds = float(rest[0]) if rest else drill.seconds
    seed = int(rest[1]) if len(rest) > 1 else random.SystemRandom().randrange(10**6)

    def say(what: str) -> None:
        sys.stderr.write(f"{name}: {what}\n")

    figures = run(drill, seconds=seconds, seed=seed, say=say)
    sys.stdout.write(json.dumps({"drill": name, **figures}, indent=2) + "\n")
    sys.exit(1 if figures["wrong"] else 0)


if __name__ == "__main__":
    main()
