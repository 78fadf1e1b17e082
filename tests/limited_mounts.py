"""File systems that cannot do everything: refusals at the edge of the operating system, as SMB, NFS and FUSE have them.

`python -m tests.limited_mounts …` is `itwin-export …` on such a file system.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable

import pytest

from deployments.cli import main

Refusals = Callable[[int, int], None]
"""Called with the errors for `fsync` of a folder and for `flock`."""


def refuse_sync_of_folders(error: int) -> Callable[[int], None]:
    """An `os.fsync` that refuses folders."""
    fsync = os.fsync

    def limited(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    return limited


def refuse_locks(error: int) -> Callable[[int, int], None]:
    """A `fcntl.flock` that refuses to lock."""

    def limited(_descriptor: int, _operation: int) -> None:
        raise OSError(error, os.strerror(error))

    return limited


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """Let the file systems of this test refuse what their mounts would."""

    def refuse(sync_error: int, lock_error: int) -> None:
        monkeypatch.setattr(os, "fsync", refuse_sync_of_folders(sync_error))
        monkeypatch.setattr(fcntl, "flock", refuse_locks(lock_error))

    return refuse


if __name__ == "__main__":
    os.fsync = refuse_sync_of_folders(errno.EINVAL)
    fcntl.flock = refuse_locks(errno.ENOLCK)
    main()
