"""A step that a thread repeats while the test goes on."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def repeated(step: Callable[[], object], pause: float = 0) -> Generator[None]:
    """Repeat a step in a thread until the block ends, with so many seconds in between."""
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
