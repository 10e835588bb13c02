"""Point libfaketime at the clock of this very part: Python runs this first, as its folder is on PYTHONPATH."""

import errno
import os
import sys
import time
from pathlib import Path

# The last word of a command names a part. Whoever else runs finds no file there, and reads the true time.
os.environ["FAKETIME_TIMESTAMP_FILE"] = str(Path(os.environ["CHAOS_CLOCKS"], Path(sys.orig_argv[-1]).name))

_sleep = time.sleep  # noqa: TID251 (of the part, whose clock is set)


def sleep(seconds: float) -> None:
    """Sleep; until a moment that has passed already, not at all.

    Of that moment libfaketime makes a time to sleep, which is below zero after the process was kept waiting: the kernel
    refuses it.
    """
    try:
        _sleep(seconds)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


time.sleep = sleep  # noqa: TID251 (as above)
