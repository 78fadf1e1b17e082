"""Ctrl-C and termination signals: a command ends within seconds, with a sentence and exit code 130."""

import asyncio
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

INTERRUPTED = 130
GRACE_SECONDS = 4.0
"""Time for an orderly end after a signal; then the process ends where it is. Everything on disk is made for that."""

Result = TypeVar("Result")


class StopSignals:
    """What the two signals do in this process: they cancel the coroutine that runs, else raise KeyboardInterrupt.

    Signals after the first one are ignored: wrappers such as `uv run` send Ctrl-C a second time.

    Attributes:
        sentence: What to tell the user if the process has to be ended where it is.
        cleanup: What to write before that, so that the terminal is as it was.
    """

    def __init__(self) -> None:
        self.sentence: Callable[[], str] = "Interrupted.".__str__
        self.cleanup = ""
        self._cancel: Callable[[], object] | None = None
        self._deadline: threading.Timer | None = None
        self._exit_code: int | None = None
        self._left_with: Exception | None = None

    @property
    def are_received(self) -> bool:
        """True once one of them has come."""
        return self._deadline is not None

    def install(self) -> None:
        """Handle both signals from now on; a signal that the parent process had ignored stays ignored."""
        atexit.register(self._leave)
        sys.unraisablehook = self._ignored
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine that a signal cancels.

        Raises:
            asyncio.CancelledError: A signal did.
        """
        runner = asyncio.Runner()
        try:
            return runner.run(self._cancellable(work))
        except RuntimeError:
            if self._left_with is None:
                raise
            raise self._left_with from None
        finally:
            if self._left_with is None:
                runner.close()

    def leave(self, error: Exception) -> None:
        """End `run` with this error, from within: the coroutine is left where it waits, until the process ends."""
        self._left_with, self._cancel = error, None
        asyncio.get_running_loop().stop()

    @contextmanager
    def raising(self) -> Generator[None]:
        """Let a signal raise KeyboardInterrupt at once: the main thread's event loop is blocked by what follows."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before, self._cancel = self._cancel, None
        try:
            yield
        finally:
            self._cancel = before

    def finish(self, exit_code: int) -> None:
        """The command has ended and said so: a signal only shortens what Prefect still sends to its server."""
        self._exit_code = exit_code
        if self._left_with is not None:
            self._leave()

    def _ignored(self, fault: "sys.UnraisableHookArgs") -> None:
        """Python ignores what is raised in a callback of its garbage collector; a signal must not be lost there."""
        if issubclass(fault.exc_type, KeyboardInterrupt):
            self._end_here()
        sys.__unraisablehook__(fault)

    def _leave(self) -> None:
        """End with the command's exit code, after all that was registered later.

        Python would end like killed by SIGINT wherever a KeyboardInterrupt went through `exec`, though it was caught.
        """
        if self._exit_code is not None:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            os._exit(self._exit_code)

    async def _cancellable(self, work: Coroutine[Any, Any, Result]) -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        self._cancel = lambda: task and loop.call_soon_threadsafe(task.cancel)
        try:
            return await work
        finally:
            self._cancel = None

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the shape of signal handlers
        if self._exit_code is not None:
            os._exit(self._exit_code)
        if self._deadline is not None:
            return
        self._deadline = threading.Timer(GRACE_SECONDS, self._end_here)
        self._deadline.daemon = True
        self._deadline.start()
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()

    def _end_here(self) -> None:
        """End the process without waiting for anything: neither for the event loop nor for other threads."""
        if self._exit_code is None:
            os.write(2, f"{self.cleanup}itwin-export: {self.sentence()}\n".encode(errors="replace"))
        os._exit(INTERRUPTED if self._exit_code is None else self._exit_code)


stop_signals = StopSignals()
"""Those of this process: signal handlers belong to a process, not to an object."""
