"""Find every crash point that a part passes, and have it die at one of them."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from tests.crashing.job import Job
from tests.eventually import eventually
from tests.ledger import Ledger
from tests.running_system import tail
from tests.webhook_worker import KEY

PASSES_MAX: Final = 2
"""How often a point is walked that is passed again and again in the course of one run."""

UNCERTAIN: Final = ("apply._linger", "pool._answers", "credentials._key", "queue.publish")
"""How often these are passed is a matter of time: walked once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashing:
    """A ledger, and a process that forks those who work on it."""

    ledger: Ledger
    place: Path
    stem: "subprocess.Popen[str]"
    log: Path

    def run(self, part: str, *, crash: str | None = None, asked: Sequence[dict[str, Any]] = ()) -> int:
        """Do the work of a part in a process of its own; give its exit code, or a signal below zero."""
        notes = str(self.place / "notes")
        return self._run(self._job(part, crash=crash, asked=asked, notes=notes))

    def live(self, part: str, **job: Any) -> None:  # noqa: ANN401 (passed on)
        """Do the work of a part to its end."""
        assert self.run(part, **job) == 0, f"{part} failed\n{tail(self.log)}"

    def die(self, part: str, *, crash: str, **job: Any) -> None:  # noqa: ANN401 (passed on)
        """Have a part killed at a point; then much time passes."""
        assert self.run(part, crash=f"kill {crash}", **job) == -SIGKILL, f"did not die {crash}\n{tail(self.log)}"
        self.let_time_pass()

    def may_die(self, part: str, *, crash: str) -> bool:
        """Have a part killed at a point if it passes it; then much time passes. Say whether it was killed."""
        ended = self.run(part, crash=f"kill {crash}")
        assert ended in {0, -SIGKILL}, f"{part} failed\n{tail(self.log)}"
        self.let_time_pass()
        return ended == -SIGKILL

    def let_time_pass(self) -> None:
        """Wait until PostgreSQL knows who has died, and make the time pass for which others leave the dead alone."""
        eventually(lambda: self.ledger.value(OTHERS) == 0, otherwise=lambda: "its sessions go on")
        self.ledger.connection.execute("UPDATE lanes SET busy_since = busy_since - interval '1 hour'")
        self.ledger.connection.execute(
            "UPDATE webhook_deliveries SET claimed_until = claimed_until - interval '1 hour',"
            " next_attempt_at = least(next_attempt_at, now()) WHERE status = 'pending'"
        )
        self.ledger.connection.execute("UPDATE webhook_endpoints SET next_probe_at = NULL")

    def points(self, part: str, *, asked: Sequence[dict[str, Any]] = (), passes_max: int = PASSES_MAX) -> list[str]:
        """Do the work of a part to its end, and name the points that it passed: each with the time it was passed."""
        trace = self.place / "trace"
        trace.unlink(missing_ok=True)
        job = self._job(part, asked=asked, trace=str(trace), notes=str(self.place / "notes"))
        assert self._run(job) == 0, f"{part} failed\n{tail(self.log)}"
        passed = Counter(trace.read_text().splitlines())
        return sorted(
            f"{point} #{time}" for point, times in passed.items() for time in _walked(point, min(times, passes_max))
        )

    def notes(self) -> list[dict[str, Any]]:
        """Give what the edge answered since this was last asked."""
        file = self.place / "notes"
        notes = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return notes

    def _job(self, part: str, **fields: Any) -> Job:  # noqa: ANN401 (passed on)
        return Job(part=part, database_url=self.ledger.database_url, secret_key=KEY, **fields)

    def _run(self, job: Job) -> int:
        assert self.stem.stdin is not None
        assert self.stem.stdout is not None
        self.stem.stdin.write(json.dumps(dataclasses.asdict(job)) + "\n")
        self.stem.stdin.flush()
        answer = self.stem.stdout.readline()
        assert answer, f"the stem has ended\n{tail(self.log)}"
        return int(answer)


OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hishab%%'
"""


def _walked(point: str, times: int) -> range:
    return range(1, 1 + (1 if any(name in point for name in UNCERTAIN) else times))


@contextmanager
def stem(log: Path) -> Generator["subprocess.Popen[str]"]:
    """Load all of Hishab into a process that forks others, until the block is left."""
    with (
        log.open("ab") as log_file,
        subprocess.Popen(
            [sys.executable, "-m", "tests.crashing.stem"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
