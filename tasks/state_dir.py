"""Where unfinished work lies: beside the published exports, out of readers' sight, one worker at a piece."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout
from prefect.runtime import flow_run

from blocks.disk import disk_errors, remove_folder
from blocks.storage.file_names import safe_name
from tasks.options import ExportRequest

KEPT_FOR = timedelta(days=7)


@contextmanager
def staging_dir(request: ExportRequest, name: str) -> Generator[Path]:
    """A folder to fetch into: always the same, so that an interrupted download resumes; another while that is in use.

    The lock is the operating system's: it goes with the process, however that ends.
    """
    with disk_errors(request.output_dir):
        request.state_dir.mkdir(parents=True, exist_ok=True)
        _tidy_up(request.state_dir)
    shared = request.state_dir / safe_name(name)
    lock = FileLock(shared.with_suffix(".lock"), blocking=False)
    try:
        lock.acquire()
    except (Timeout, NotImplementedError):  # in use, or on a file system that knows no locks
        yield shared.with_name(f"{shared.name}-{flow_run.get_id()}")
        return
    try:
        yield shared
    finally:
        lock.release()


def _tidy_up(state_dir: Path) -> None:
    """Remove what was left behind long ago."""
    oldest = time.time() - KEPT_FOR.total_seconds()
    for path in state_dir.iterdir():
        if path.name not in {"runs", "followed"} and path.stat().st_mtime < oldest:
            remove_folder(path) if path.is_dir() else path.unlink(missing_ok=True)
