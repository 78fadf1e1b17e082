"""A mapping file on this machine."""

from pathlib import Path

from blocks.errors import InputError
from tasks.ifc.mapping_json import LARGEST_MAPPING

_NO_FILE = (FileNotFoundError, NotADirectoryError, ValueError)
"""The text is no path of a file; `ValueError` is raised for a NUL in it."""


def local_path(name: str) -> Path:
    """The absolute path of a mapping file."""
    return Path(name).expanduser().absolute()


def read_local(name: str) -> bytes | None:
    """The content of a file, or the beginning of one that is too large; None if there is no such file.

    Raises:
        InputError: It is a folder, or it cannot be read.
    """
    path = local_path(name)
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_MAPPING + 1)
    except _NO_FILE:
        return None
    except IsADirectoryError:
        raise InputError(f"The mapping file {path} is a folder. Name a file in it.") from None
    except OSError as error:
        raise InputError(f"The mapping file {path} cannot be read ({error.strerror}). Check the file.") from None
