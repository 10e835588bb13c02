"""Make a small disk that can be filled up: a tmpfs, which only root may mount."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 400
"""Room for PostgreSQL's own data, for the log of a run, and for little else."""


class NotHereError(Exception):
    """This machine does not allow it; says why."""


@contextmanager
def small_disk(place: Path, *, megabytes: int = MEGABYTES) -> Generator[Path]:
    """Mount one until the block is left.

    Raises:
        NotHereError: It cannot be mounted here.
    """
    mounted = place / "small-disk"
    mounted.mkdir(exist_ok=True)
    options = f"size={megabytes}m,mode=0711"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "hishab-small-disk", str(mounted)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotHereError(done.stderr.strip())
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)
