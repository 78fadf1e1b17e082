"""Limits of a picture and of the process that draws it."""

import signal
import sys

from blocks.bounds import MIB
from blocks.limited_process import limit_this_process

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


def limit_drawing(parent: int, seconds: int, memory: int) -> None:
    """End this process when its time is over, it needs too much memory, or its parent ends; call it once, at first."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process also while foreign code runs
        signal.alarm(seconds)
    limit_this_process(parent, {"RLIMIT_DATA": memory, "RLIMIT_FSIZE": _LARGEST_FILE})
