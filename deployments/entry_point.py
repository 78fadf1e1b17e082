"""Where a process of `itwin-export` begins: Ctrl-C and termination signals have their ending before all imports.

`main` handles them in full, once asyncio is there.
"""

import os
import signal
from types import FrameType


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the shape of signal handlers
    os.write(2, b"itwin-export: Interrupted.\n")
    os._exit(130)


for _number in (signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(_number) is not signal.SIG_IGN:
        signal.signal(_number, _end)

from deployments.cli import main  # noqa: E402  after the signals are handled

__all__ = ["main"]
