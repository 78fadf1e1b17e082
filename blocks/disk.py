"""The local disk: writes that are whole or not there, and errors that say what to do."""

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from blocks.errors import ConfigurationError, DiskError

_REASONS = {
    errno.ENOSPC: "is on a full disk. Make room or choose another folder, then run the same again",
    errno.EDQUOT: "has no room left for this user. Make room or choose another folder",
    errno.EROFS: "is read-only. Choose another folder",
    errno.EACCES: "may not be written to by this user. Change its permissions or choose another folder",
    errno.EPERM: "may not be written to by this user. Change its permissions or choose another folder",
    errno.ENAMETOOLONG: "makes the names in it too long. Choose a folder with a shorter path",
}
_REPLACE_ATTEMPTS = 7 if os.name == "nt" else 1
_FIRST_PAUSE = 0.05


@contextmanager
def disk_errors(folder: Path) -> Generator[None]:
    """Turn what the operating system says into one sentence that names the folder and the next step.

    Raises:
        DiskError: In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        unknown = f"refuses the data ({error.strerror or type(error).__name__}). Check it or choose another folder"
        raise DiskError(f"The folder {folder} {_REASONS.get(error.errno or 0, unknown)}.") from error


def replace(source: Path, target: Path, *, attempts: int = _REPLACE_ATTEMPTS) -> None:
    """Move a file or folder into place; on Windows a reader may hold the target open for a moment."""
    for attempt in range(attempts):
        try:
            source.replace(target)
        except PermissionError:
            if attempt + 1 == attempts:
                raise
            time.sleep(_FIRST_PAUSE * 2**attempt)
        else:
            return


def sync_file(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on the disk; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that a reader finds the old or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def require_writable(folder: Path) -> None:
    """Make sure, before anything is started elsewhere, that files can be put here; makes the folder.

    Raises:
        ConfigurationError: They cannot.
    """
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except DiskError as error:
        raise ConfigurationError(str(error)) from None


def remove_folder(folder: Path) -> None:
    """Delete a folder of ours; what somebody holds open stays."""
    shutil.rmtree(folder, ignore_errors=True)


def require_room(folder: Path, size: int) -> None:
    """Say so before the first byte when the disk cannot hold what is to come.

    Raises:
        DiskError: Less than `size` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DiskError(
            f"The disk of {folder} has {free:,} bytes free and {size:,} are to come. "
            "Make room or choose another folder, then run the same again."
        )


class PartFile:
    """A file of known size, filled in any order from several threads."""

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._lock = threading.Lock()
        self._file.truncate(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, offset: int, pieces: Sequence[bytes]) -> None:
        """Write the pieces one after the other, from the offset."""
        rest = memoryview(b"".join(pieces))
        while rest:
            written = self._write_some(offset, rest)
            offset, rest = offset + written, rest[written:]

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        os.fsync(self._file.fileno())

    def _write_some(self, offset: int, data: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        return self._seek_and_write(offset, data)

    def _seek_and_write(self, offset: int, data: memoryview) -> int:
        """The portable way: Windows has no `pwrite`."""
        with self._lock:
            self._file.seek(offset)
            return self._file.write(data) or 0
