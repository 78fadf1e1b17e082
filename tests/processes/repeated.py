"""Calls a function again and again in a thread, during a test."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def repeated(step: Callable[[], object], pause: float = 0) -> Generator[None]:
    """Call `step` in a thread until the block ends; wait `pause` seconds before each call."""
    is_over = threading.Event()

    def keep_going() -> None:
        while not is_over.wait(pause):
            step()

    thread = threading.Thread(target=keep_going)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
