"""Files on this machine that parameters and rules name."""

from pathlib import Path

from blocks.errors import InputError
from blocks.shared_folder import home_expanded, open_regular

_NO_FILE = (FileNotFoundError, NotADirectoryError, ValueError)
"""The text is no path of a file; `ValueError` is raised for a NUL in it."""


def local_path(name: str, folder: Path | None = None) -> Path:
    """The absolute path of a file; a relative one is below the folder, else below the current one."""
    return (folder or Path()).absolute() / home_expanded(name)


def read_local(path: Path, what: str, longest: int) -> bytes | None:
    """The content of a file, or the beginning of one that is too long; None if there is no such file.

    Args:
        path: Of the file.
        what: What it is, for messages: “mapping file”.
        longest: Bytes it may have; one more is read.

    Raises:
        InputError: It is a folder, or it cannot be read.
    """
    try:
        with open_regular(path, may_be_link=True) as file:
            return file.read(longest + 1)
    except _NO_FILE:
        return None
    except IsADirectoryError:
        raise InputError(f"The {what} {path} is a folder. Name a file in it.") from None
    except OSError as error:
        raise InputError(f"The {what} {path} cannot be read ({error.strerror}). Check the file.") from None
