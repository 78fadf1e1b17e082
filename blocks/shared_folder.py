"""Files in folders that other users and programs may write to: symbolic links are not followed, sizes are bounded."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from errno import EFBIG, EINVAL, ELOOP, ENAMETOOLONG, ENOENT
from io import BufferedReader
from pathlib import Path

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Flag of `os.open` that refuses symbolic links; Windows has none, and there only administrators create links."""
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class LinkedPathError(OSError):
    """A path below a shared folder leads through a symbolic link or to something that is no regular file."""


def home_expanded(name: str) -> Path:
    """The path that a user named; `~nobody` is a name like any other where there is no such user."""
    with suppress(RuntimeError):
        return Path(name).expanduser()
    return Path(name)


def open_unlinked(path: str, flags: int) -> int:
    """An opener for `open()` that refuses symbolic links."""
    return os.open(path, flags | NO_FOLLOW, 0o666)


def open_regular(path: Path, *, may_be_link: bool = False) -> BufferedReader:
    """Open a regular file for reading; a FIFO does not block.

    Args:
        path: The file.
        may_be_link: Follow symbolic links, of a path that the user gave.

    Raises:
        OSError: It is missing, or a FIFO, socket, device or folder, or a symbolic link.
    """
    flags = os.O_RDONLY | _NO_WAIT | (0 if may_be_link else NO_FOLLOW)
    file = open(os.open(path, flags), "rb")  # noqa: SIM115, PTH123  the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise LinkedPathError(EINVAL, "Not a regular file", str(path))
    return file


def read_bounded(path: Path, limit: int, *, may_be_link: bool = False) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        OSError: It is missing, longer than `limit`, a FIFO, socket, device or folder, or a symbolic link.
    """
    with open_regular(path, may_be_link=may_be_link) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise OSError(EFBIG, os.strerror(EFBIG), str(path))
        return file.read(size)


def stat_inside(folder: Path, name: str) -> os.stat_result:
    """The state of a regular file below a folder; `name` has forward slashes.

    Raises:
        LinkedPathError: A part of the name is a symbolic link, or it is no regular file.
        OSError: It is missing or may not be looked at.
    """
    path = os.fspath(folder)
    *parents, last = name.split("/")
    for part in parents:
        path = f"{path}/{part}"
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise LinkedPathError(ELOOP, "Not a folder", path)
    state = os.lstat(f"{path}/{last}")
    if not stat.S_ISREG(state.st_mode):
        raise LinkedPathError(ELOOP, "Not a regular file", f"{path}/{last}")
    return state


def remove_inside(folder: Path, name: str) -> None:
    """Delete a regular file below a folder; one that is missing or lies behind a symbolic link is left alone.

    Raises:
        OSError: It cannot be deleted.
    """
    try:
        stat_inside(folder, name)
        (folder / name).unlink()
    except LinkedPathError:
        return
    except OSError as error:
        if error.errno not in {ENOENT, ENAMETOOLONG}:
            raise


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below a folder, parents before children; does not follow links, skips what disappears meanwhile."""
    folders = [os.fspath(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                entries = list(found)
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            yield entry


def remove_links(folder: Path) -> None:
    """Delete everything below a folder that is neither a folder nor a regular file, such as symbolic links.

    Raises:
        OSError: It cannot be deleted.
    """
    for entry in walk(folder):
        if not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
            Path(entry.path).unlink(missing_ok=True)


def remove_empty_folders(folder: Path) -> None:
    """Delete the empty folders below a folder, and the folder itself if nothing is left in it."""
    inner = [Path(entry.path) for entry in walk(folder) if entry.is_dir(follow_symlinks=False)]
    for path in [*reversed(inner), folder]:
        with suppress(FileNotFoundError):
            if not any(path.iterdir()):
                path.rmdir()
