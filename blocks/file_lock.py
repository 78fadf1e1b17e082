"""Locks of the operating system on files: they go with the process, however it ends."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock

from blocks.disk import is_unsupported, note_unsupported


@contextmanager
def file_lock(path: Path, *, is_waiting: bool = True) -> Generator[bool]:
    """Hold the lock of a file, which is made if it is not there.

    Args:
        path: The lock file; it stays.
        is_waiting: Wait while another process holds it.

    Yields:
        Whether it is held: False where the file system has no locks, which is logged once.

    Raises:
        filelock.Timeout: Another process holds it, and nobody waits.
    """
    lock = FileLock(path, blocking=is_waiting, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        note_no_locks(lock, error)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def note_no_locks(lock: BaseFileLock, error: OSError) -> None:
    """Log that a file system has no locks.

    Raises:
        OSError: The lock was refused for another reason.
    """
    if not is_unsupported(error):
        raise error
    what = f"file locks ({error.strerror})"
    consequence = "Work goes on without; let no two processes do the same work there at once."
    note_unsupported(Path(lock.lock_file).parent, what, consequence)
