"""`itwin-export view`: look at what was exported."""

import sys
from pathlib import Path

from blocks.bounds import LONGEST_NAME
from blocks.errors import ConfigurationError, InputError
from blocks.shown_text import shown


def view(folder: Path, *, port: int = 3111) -> None:
    """Show exported tiles and IFC files in the browser, from this machine only and without any network.

    Args:
        folder: A published tileset, an iModel's exports, or the whole output folder.
        port: Port on loopback; 0 takes a free one.
    """
    from deployments.viewer.server import serve  # noqa: PLC0415  half a second that other commands need not spend

    if not _is_folder(folder):
        raise InputError(f"There is no folder {shown(str(folder), LONGEST_NAME)}. Name the folder of an export.")
    try:
        serve(folder.resolve(), port, sys.stdout)
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}). Choose another: --port 0") from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the path is too long
        return False
