"""The local disk: writes that are whole or not there, and errors that say what to do."""

import errno
import logging
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
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""What file systems answer that cannot do what they are asked: SMB and FUSE to fsync, NFS without a lock daemon to
flock. The data is not at fault, so the work goes on without."""
_REPLACE_ATTEMPTS = 7 if os.name == "nt" else 1
_FIRST_PAUSE = 0.05
_TRIAL_PREFIX = ".itwin-export-trial-"
_TRIAL_SECONDS = 3600.0

log = logging.getLogger("prefect.itwin")
_noted: set[tuple[int, str]] = set()


def is_unsupported(error: OSError) -> bool:
    """True if the file system cannot do this at all; false if it failed at it."""
    return error.errno in UNSUPPORTED


def note_unsupported(path: Path, what: str, consequence: str) -> None:
    """Log that the file system of a path cannot do something; once for each file system in a process."""
    key = (path.stat().st_dev, what)
    if key not in _noted:
        _noted.add(key)
        log.warning("The file system of %s has no %s. %s", path, what, consequence)


def unsupported_at(path: Path) -> list[str]:
    """What the file system of a path turned out to have no support for."""
    device = path.stat().st_dev
    return sorted(what for noted_device, what in _noted if noted_device == device)


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
        sync_descriptor(file.fileno(), path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on the disk; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync_descriptor(descriptor, folder)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int, folder: Path) -> None:
    """Wait until what was written is on the disk, where the file system of the folder can tell."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_unsupported(error):
            raise
        what = f"way to flush what is written (fsync: {error.strerror})"
        note_unsupported(folder, what, "Files are published all the same; a power cut may cost the newest ones.")


def write_whole(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a small file so that a reader finds the old or the new one, never a part.

    Args:
        path: Where; its folder exists.
        content: All of it.
        private: Only the file's owner may read it, from its first byte on (mode 0600).
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with open(draft, "wb", opener=open_private if private else None) as file:
            file.write(content)
            file.flush()
            sync_descriptor(file.fileno(), path.parent)
        replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def open_private(path: str, flags: int) -> int:
    """An opener for `open()`: a file that it makes is readable by its owner only."""
    return os.open(path, flags, 0o600)


def require_writable(folder: Path) -> None:
    """Make sure, before anything is started elsewhere, that files can be put here; makes the folder.

    Raises:
        ConfigurationError: They cannot.
    """
    with trial_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with trial_folder(folder) as trial:
            (trial / "draft").write_bytes(b"trial")
            replace(trial / "draft", trial / "file")


@contextmanager
def trial_errors(folder: Path) -> Generator[None]:
    """Turn what goes wrong while something is tried out beforehand into an error of the configuration.

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
    """A folder of a moment inside another, to try out what is to be done there; those of killed processes go."""
    for leftover in folder.glob(f"{_TRIAL_PREFIX}*"):
        if time.time() - leftover.stat().st_mtime > _TRIAL_SECONDS:
            remove_folder(leftover)
    with tempfile.TemporaryDirectory(prefix=_TRIAL_PREFIX, dir=folder, ignore_cleanup_errors=True) as name:
        yield Path(name)


def real_path(path: Path) -> Path:
    """Where a symbolic link leads; any other path as it is."""
    return path.resolve() if path.is_symlink() else path


def require_link_target(path: Path) -> None:
    """Make sure that a symbolic link leads into a folder that is there: that of a disk not mounted is not.

    Raises:
        ConfigurationError: It does not.
    """
    target = real_path(path)
    if target != path and not target.parent.is_dir():
        raise ConfigurationError(
            f"{path} is a link to {target}, and the folder {target.parent} is not there. Mount its disk, or remove the "
            f"link."
        )


def is_mount_point(path: Path) -> bool:
    """True if something is mounted at exactly this path, also a folder of the same disk (Linux)."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        mounts = []
    named = os.fsencode(path).replace(b"\\", b"\\134").replace(b" ", b"\\040")
    return os.path.ismount(path) or any(line.split(b" ")[4] == named for line in mounts)


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
        sync_descriptor(self._file.fileno(), Path(self._file.name).parent)

    def _write_some(self, offset: int, data: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        return self._seek_and_write(offset, data)

    def _seek_and_write(self, offset: int, data: memoryview) -> int:
        """The portable way: Windows has no `pwrite`."""
        with self._lock:
            self._file.seek(offset)
            return self._file.write(data) or 0
