"""Point libfaketime at the clock of this very part: Python runs this first, as its folder is on PYTHONPATH."""

import os
import sys
import time
from pathlib import Path
from threading import Event

# The last word of a command names a part. Whoever else runs finds no file there, and reads the true time.
os.environ["FAKETIME_TIMESTAMP_FILE"] = str(Path(os.environ["CHAOS_CLOCKS"], Path(sys.orig_argv[-1]).name))


def sleep(seconds: float) -> None:
    """Sleep, past libfaketime: it takes the monotonic moment that Python sleeps until for one of the wall clock."""
    Event().wait(seconds)


time.sleep = sleep  # noqa: TID251 (of the part, whose clock is set)
