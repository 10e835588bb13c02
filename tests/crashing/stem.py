"""Be the process that has all of Hishab loaded, and fork one for each job: `python -m tests.crashing.stem`.

A job is a line of JSON on standard input. The answer, on standard output, is what became of the process: 0 or another
exit code, or the number of the signal that killed it below zero.
"""

import json
import os
import signal
import sys
import traceback
from typing import Final

from shared import crash_points
from shared.memory import collect_seldom
from shared.telemetry import configure_logging
from tests.crashing.job import Job
from tests.crashing.parts import PARTS, edge

LIFE_SECONDS_MAX: Final = 60
"""SIGALRM ends whoever hangs, with or without this process."""


def main() -> None:
    """Fork and answer until there is nothing more to do."""
    edge()
    # Nobody who is forked looks through all of this again.
    collect_seldom()
    answers = os.dup(sys.stdout.fileno())
    # What is logged goes elsewhere.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    configure_logging("console")
    for line in sys.stdin:
        job = Job(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            _live(job)
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _live(job: Job) -> None:
    exit_code = 1
    try:
        signal.alarm(LIFE_SECONDS_MAX)
        _arm(job)
        PARTS[job.part](job)
        exit_code = 0
    except BaseException:  # noqa: BLE001 (the child must never come back to the loop of its parent)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(exit_code)


def _arm(job: Job) -> None:
    if job.crash is not None:
        crash_points.arm(crash_points.parse(job.crash))
    if job.trace is not None:
        trace = os.open(job.trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        crash_points.arm(lambda point, _: _note(trace, point))


def _note(trace: int, point: str) -> None:
    os.write(trace, f"{point}\n".encode())


if __name__ == "__main__":
    main()
