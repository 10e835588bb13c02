"""End what dead parts leave behind, in whatever session it hides. On Linux alone: elsewhere nobody adopts orphans.

A PostgreSQL that is killed leaves sessions, each in a session of its own, that notice only when they next wait. One in
the middle of a long query keeps the shared memory in use, and the next PostgreSQL refuses to start.
"""

import os
import signal
import sys
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hishab import tether

# Source: <linux/prctl.h>.
PR_SET_CHILD_SUBREAPER: Final = 36


@contextmanager
def orphans_adopted() -> Generator["Orphans"]:
    """Be the parent, within the block, of every descendant whose own parent dies."""
    orphans = Orphans()
    _adopt(yes=True)
    try:
        yield orphans
    finally:
        _adopt(yes=False)


class Orphans:
    """The adopted: children that are neither older than the adoption nor spared."""

    def __init__(self) -> None:
        self._elder = frozenset(_children())

    def end(self, *, spare: Collection[int]) -> bool:
        """Kill the adopted, and bury those that have died; tell whether there were any.

        Args:
            spare: The children we started ourselves. One in our own session, a moment's work, needs no mention.
        """
        found = [
            pid for pid in _children() if pid not in self._elder and pid not in spare and not _is_in_our_session(pid)
        ]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return bool(found)


def _adopt(*, yes: bool) -> None:
    if sys.platform == "linux":
        tether.system_call("prctl", PR_SET_CHILD_SUBREAPER, int(yes))


def _children() -> Iterator[int]:
    for thread in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):
            yield from map(int, thread.read_text(encoding="ascii").split())


def _is_in_our_session(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == os.getsid(0)
    return False
