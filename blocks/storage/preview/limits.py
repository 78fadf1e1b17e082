"""Limits of a picture and of the process that draws it."""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from blocks.bounds import MIB

SECONDS = 30
"""From the start of the process that draws to its end."""
READING_SHARE = 0.6
"""Of that time; then what has been read is drawn."""
MOST_MEMORY, LEAST_MEMORY = 2048 * MIB, 512 * MIB
"""Bytes of data: the picture itself takes 450 MB, a file of 130 MB another 650."""
LARGEST_PICTURE = 150_000
"""Bytes: it is shown within a page."""
WIDTH, HEIGHT = 1000, 700
OVERSAMPLING = 2
"""Drawn twice as large, so that what is slanted becomes smooth."""
LARGEST_IFC = 200 * MIB
"""Larger files are drawn only with `ITWIN_PREVIEW=on`."""
LONGEST_ERROR = 4096
_LARGEST_FILE = 4 * MIB
_KILLED_WITH_PARENT = 1


def limit_this_process(parent: int, seconds: int, memory: int) -> None:
    """End this process when its time is over, it needs too much memory, or its parent ends; call it once, at first.

    Where a system lacks such a limit (Windows), the parent ends the process when the time is over.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  not on Windows

    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process also while foreign code runs
    signal.alarm(seconds)
    for kind, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):  # the system allows less
            resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # before any other process of the container
        if os.getppid() != parent:
            sys.exit("Its parent has ended.")
