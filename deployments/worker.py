"""`python -m deployments.worker …` is `prefect worker start …` for a worker that goes on until it is stopped.

A process that a script starts with `&` ignores interrupts. Prefect's worker turns a termination signal into an
interrupt of itself, so such a worker could not be stopped. A worker also ends by itself when its server has failed
several times in a row, as one does that is away for some minutes, or when the disk of its log is full: then it is
started again.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

LASTING_SECONDS = 30.0
"""A first worker that ends earlier has a fault that starting it again would not cure, such as a wrong option."""
PAUSE_SECONDS = 5.0


class LastingWorker:
    """Prefect's worker in a process of its own, started again whenever it ends without having been told to.

    Args:
        arguments: Those of `prefect worker start`.
        lasting_seconds: A first worker that ends earlier is not started again.
    """

    def __init__(self, arguments: Sequence[str], lasting_seconds: float = LASTING_SECONDS) -> None:
        self._command = [sys.executable, "-m", "prefect", "worker", "start", *arguments]
        self._lasting_seconds = lasting_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def run(self) -> int:
        """Keep a worker running until a signal comes; the exit code of the last one."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        is_lasting = False
        while True:
            started_at = time.monotonic()
            exit_code = self._run_worker()
            is_lasting = is_lasting or time.monotonic() - started_at >= self._lasting_seconds
            if self._is_stopped or not is_lasting:
                return exit_code
            with suppress(OSError):  # the log may be on the full disk
                print(f"The worker ended with {exit_code} and is started again.", file=sys.stderr, flush=True)  # noqa: T201
            self._pause()

    def _run_worker(self) -> int:
        # In a session of its own, Ctrl-C at a terminal reaches it once, from here.
        self._process = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603  our own interpreter
        if self._is_stopped:  # while it was being started
            self._process.terminate()
        return self._process.wait()

    def _pause(self) -> None:
        end = time.monotonic() + PAUSE_SECONDS
        while not self._is_stopped and time.monotonic() < end:
            time.sleep(0.1)

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the shape of signal handlers
        self._is_stopped = True
        if self._process is not None:
            self._process.send_signal(number)


if __name__ == "__main__":
    sys.exit(LastingWorker(sys.argv[1:]).run())
