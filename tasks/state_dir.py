"""Where unfinished work lies: beside the published exports, out of readers' sight, one worker at a piece."""

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import Timeout
from prefect.runtime import flow_run

from blocks.disk import disk_errors, remove_folder
from blocks.file_lock import file_lock
from blocks.storage.file_names import safe_name
from tasks.options import ExportRequest

KEPT_FOR = timedelta(days=7)


@contextmanager
def staging_dir(request: ExportRequest, name: str) -> Generator[Path]:
    """A folder to fetch into: always the same, so that an interrupted download resumes; another while that is in use.

    The lock is the operating system's: it goes with the process, however that ends. Where there are no locks, each flow
    run has a folder of its own.
    """
    root = request.staging_root
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        _tidy_up(root)
    shared = root / safe_name(name)
    with ExitStack() as stack:
        is_ours = _take_lock(stack, shared.with_suffix(".lock"))
        yield shared if is_ours else shared.with_name(f"{shared.name}-{flow_run.get_id()}")


def _take_lock(stack: ExitStack, path: Path) -> bool:
    """Whether this process has the folder of that name to itself."""
    try:
        return stack.enter_context(file_lock(path, is_waiting=False))
    except Timeout:
        return False


def _tidy_up(state_dir: Path) -> None:
    """Remove what was left behind long ago."""
    oldest = time.time() - KEPT_FOR.total_seconds()
    for path in state_dir.iterdir():
        if path.name not in {"runs", "followed"} and path.stat().st_mtime < oldest:
            remove_folder(path) if path.is_dir() else path.unlink(missing_ok=True)
