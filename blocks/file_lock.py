"""File locks of the operating system, which are released when the process ends for any reason."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock

from blocks.disk import MISSING_OPERATIONS, is_unsupported


@contextmanager
def file_lock(path: Path, *, is_waiting: bool = True) -> Generator[bool]:
    """Acquire an exclusive lock on a file, which is created if missing.

    Args:
        path: The lock file; it is not deleted afterwards.
        is_waiting: Block while another process has the lock.

    Yields:
        Whether the lock was acquired: False where the file system has no locks, which is logged once.

    Raises:
        filelock.Timeout: Another process has the lock and `is_waiting` is false.
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
    """Log once that a file system has no locks.

    Raises:
        OSError: The lock could not be acquired for another reason.
    """
    if not is_unsupported(error):
        raise error
    what = f"file locks ({error.strerror})"
    consequence = "Exports continue without a lock; do not run the same export there twice at once."
    MISSING_OPERATIONS.note(Path(lock.lock_file).parent, what, consequence)
