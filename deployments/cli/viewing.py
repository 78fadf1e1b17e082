"""`itwin-export view`: look at what was exported."""

import sys
from pathlib import Path

from blocks.errors import ConfigurationError, InputError


def view(folder: Path, *, port: int = 3111) -> None:
    """Show exported tiles and IFC files in the browser, from this machine only and without any network.

    Args:
        folder: A published tileset, an iModel's exports, or the whole output folder.
        port: Port on loopback; 0 takes a free one.
    """
    from deployments.viewer.server import serve  # noqa: PLC0415  half a second that other commands need not spend

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Name the folder of an export.")
    try:
        serve(folder.resolve(), port, sys.stdout)
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}). Choose another: --port 0") from None
