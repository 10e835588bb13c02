"""Make a small disk that can be filled up: a tmpfs, which only root may mount."""

import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 2_000
"""Room for PostgreSQL's own log, which takes up to a gigabyte, and for the data of a run of ten minutes."""


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
        # Who speaks, about which directory, and why: only the last is worth repeating.
        why = done.stderr.partition("\n")[0].rpartition(": ")[2].rstrip(".")
        raise NotHereError(f"no small disk can be mounted here ({why})")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def why_not() -> str | None:
    """Say why there can be none here; nothing if there can."""
    with tempfile.TemporaryDirectory(prefix="hishab-chaos-disk-") as directory:
        try:
            with small_disk(Path(directory)):
                return None
        except NotHereError as error:
            return str(error)
