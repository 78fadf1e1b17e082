"""Local disk: atomic and durable writes, free-space checks, and `OSError` mapped to `DiskError`."""

import errno
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from blocks.errors import ConfigurationError, DiskError
from blocks.shared_folder import open_unlinked

_REASONS = {
    errno.ENOSPC: "is on a full disk. Free some space or choose another folder, then run the same again",
    errno.EDQUOT: "has reached this user's disk quota. Free some space or choose another folder",
    errno.EROFS: "is read-only. Choose another folder",
    errno.EACCES: "may not be written to by this user. Change its permissions or choose another folder",
    errno.EPERM: "may not be written to by this user. Change its permissions or choose another folder",
    errno.ENAMETOOLONG: "makes the paths in it too long. Choose a folder with a shorter path",
}
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""Error numbers of file systems that do not implement an operation, for example fsync on some SMB and FUSE mounts and
flock on NFS without a lock daemon. No data is lost, so the operation is skipped and a warning is logged once."""
_REPLACE_ATTEMPTS = 7 if os.name == "nt" else 1
_FIRST_PAUSE = 0.05
_TRIAL_PREFIX = ".itwin-export-trial-"
_TRIAL_SECONDS = 3600.0

log = logging.getLogger("prefect.itwin")


def is_unsupported(error: OSError) -> bool:
    """True if the file system does not implement the operation; false if the operation failed."""
    return error.errno in UNSUPPORTED


class MissingOperations:
    """The operations that file systems turned out not to implement; each is logged once.

    A process has one object, `MISSING_OPERATIONS`, which lives as long as the process: entries are added and never
    removed, because a file system does not gain an operation while it is mounted.
    """

    def __init__(self) -> None:
        self._found: set[tuple[int, str]] = set()

    def note(self, path: Path, what: str, consequence: str) -> None:
        """Log a warning that the file system of a path lacks an operation, unless it has been logged before."""
        key = (path.stat().st_dev, what)
        if key not in self._found:
            self._found.add(key)
            log.warning("The file system of %s has no %s. %s", path, what, consequence)

    def at(self, path: Path) -> list[str]:
        """The operations noted for the file system of a path, sorted."""
        device = path.stat().st_dev
        return sorted(what for lacking, what in self._found if lacking == device)


MISSING_OPERATIONS = MissingOperations()


@contextmanager
def disk_errors(folder: Path) -> Generator[None]:
    """Map an `OSError` to a `DiskError` that names the folder and the next step.

    Raises:
        DiskError: In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        unknown = f"cannot be used ({error.strerror or type(error).__name__}). Check it or choose another folder"
        raise DiskError(f"The folder {folder} {_REASONS.get(error.errno or 0, unknown)}.") from error


def replace(source: Path, target: Path, *, attempts: int = _REPLACE_ATTEMPTS) -> None:
    """Rename a file or folder over its target; on Windows retry, because a reader may have the target open."""
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
    """Flush a file's content to the disk (fsync)."""
    with path.open("r+b") as file:
        sync_descriptor(file.fileno(), path.parent)


def sync_all(paths: Iterable[Path]) -> None:
    """Flush the content of many files to the disk: one call where there is one, file by file elsewhere."""
    if hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        sync_file(path)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk (fsync); does nothing on Windows, which has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync_descriptor(descriptor, folder)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int, folder: Path) -> None:
    """Flush an open file or folder to the disk; logs a warning once where the file system has no fsync."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_unsupported(error):
            raise
        what = f"way to flush what is written (fsync: {error.strerror})"
        MISSING_OPERATIONS.note(folder, what, "Files are still published; a power cut may lose the most recent ones.")


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a small file atomically and durably: a reader sees the old content or the new, never a mixture.

    Args:
        path: The file to write; its folder must exist.
        content: The complete new content.
        private: Create the file with mode 0600, so that only its owner can read it at any time.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)  # of a killed process, or a symbolic link; “x” follows none
        with open(draft, "xb", opener=open_private if private else None) as file:
            file.write(content)
            file.flush()
            sync_descriptor(file.fileno(), path.parent)
        replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def open_private(path: str, flags: int) -> int:
    """An opener for `open()` that creates files with mode 0600."""
    return os.open(path, flags, 0o600)


def require_writable(folder: Path) -> None:
    """Create the folder and check that files can be written and renamed in it, before a remote run is started.

    Raises:
        ConfigurationError: The folder cannot be created or written to.
    """
    with trial_errors(folder):
        require_link_target(folder)
        real_path(folder).mkdir(parents=True, exist_ok=True)
        with trial_folder(folder) as trial:
            (trial / "draft").write_bytes(b"trial")
            replace(trial / "draft", trial / "file")


@contextmanager
def trial_errors(folder: Path) -> Generator[None]:
    """Map an `OSError` to a `ConfigurationError`, for checks that run before an export starts.

    Raises:
        ConfigurationError: In place of any `OSError`.
    """
    try:
        with disk_errors(folder):
            yield
    except DiskError as error:
        raise ConfigurationError(str(error)) from None


@contextmanager
def trial_folder(folder: Path) -> Generator[Path]:
    """A temporary folder inside another, for write checks; also removes those left over by killed processes."""
    for leftover in folder.glob(f"{_TRIAL_PREFIX}*"):
        with suppress(FileNotFoundError):  # another process may delete it at the same time
            if time.time() - leftover.lstat().st_mtime > _TRIAL_SECONDS:
                remove_folder(leftover)
    with tempfile.TemporaryDirectory(prefix=_TRIAL_PREFIX, dir=folder, ignore_cleanup_errors=True) as name:
        yield Path(name)


def real_path(path: Path) -> Path:
    """The target of a symbolic link; any other path unchanged, also a link to itself."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def require_link_target(path: Path) -> None:
    """Check that the parent folder of a symbolic link's target exists; it is missing while its disk is not mounted.

    Raises:
        ConfigurationError: The parent folder does not exist.
    """
    target = real_path(path)
    if target != path and not target.parent.is_dir():
        raise ConfigurationError(
            f"{path} is a link to {target}, but the folder {target.parent} does not exist. Mount its disk, or remove "
            f"the link."
        )


def is_mount_point(path: Path) -> bool:
    """True if the path is a mount point; on Linux also for a bind mount from the same disk."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        mounts = []
    named = os.fsencode(path).replace(b"\\", b"\\134").replace(b" ", b"\\040")
    return os.path.ismount(path) or any(line.split(b" ")[4] == named for line in mounts)


def remove_folder(folder: Path) -> None:
    """Delete a folder created by this application; files that cannot be deleted (open on Windows) stay."""
    shutil.rmtree(folder, ignore_errors=True)


def require_room(folder: Path, size: int) -> None:
    """Check the free space of a folder's disk before a download starts.

    Raises:
        DiskError: Fewer than `size` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DiskError(
            f"The disk of {folder} has {free:,} bytes free and {size:,} bytes are needed. "
            "Free some space or choose another folder, then run the same again."
        )


class PartFile:
    """A file of known size, written at any offset by several threads; use as a context manager."""

    def __init__(self, path: Path, size: int) -> None:
        mode = "r+b" if path.exists() else "w+b"
        self._file = open(path, mode, buffering=0, opener=open_unlinked)  # noqa: SIM115  closed on exit
        self._lock = threading.Lock()
        self._file.truncate(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, offset: int, pieces: Sequence[bytes]) -> None:
        """Write the pieces consecutively, starting at the byte offset."""
        rest = memoryview(b"".join(pieces))
        while rest:
            written = self._write_some(offset, rest)
            offset, rest = offset + written, rest[written:]

    def sync(self) -> None:
        """Flush everything written so far to the disk (fsync)."""
        sync_descriptor(self._file.fileno(), Path(self._file.name).parent)

    def _write_some(self, offset: int, data: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        return self._seek_and_write(offset, data)

    def _seek_and_write(self, offset: int, data: memoryview) -> int:
        """Seek and write under a lock: Windows has no `pwrite`."""
        with self._lock:
            self._file.seek(offset)
            return self._file.write(data) or 0
