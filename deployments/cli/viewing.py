"""`itwin-export view`: look at what was exported."""

import sys
from pathlib import Path

from blocks.bounds import LONGEST_NAME
from blocks.errors import ConfigurationError, InputError
from blocks.shown_text import shown
from blocks.storage.destination.address import StoreAddress
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import open_store
from deployments.cli.stored_output import store_access
from tasks.output_place import address_of


def view(folder: str, *, port: int = 3111, destination: str = "default") -> None:
    """Show exported tiles and IFC files in the browser, from this machine only.

    Args:
        folder: A published tileset, an iModel's exports, or the whole output folder; or the address of one of them in
            an object store.
        port: Port on loopback; 0 takes a free one.
        destination: Name of a saved Export Destination block, for an object store.
    """
    from deployments.viewer.server import serve  # noqa: PLC0415  half a second that other commands need not spend

    address = address_of(folder)
    if address is None and not _is_folder(Path(folder)):
        raise InputError(f"There is no folder {shown(folder, LONGEST_NAME)}. Name the folder of an export.")
    source, above = _opened(address, destination) if address else (Path(folder).resolve(), None)
    try:
        serve(source, port, sys.stdout, above)
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}). Choose another: --port 0") from None


def _opened(address: StoreAddress, destination: str) -> tuple[ObjectStore, ObjectStore | None]:
    """The store of an address, and the one a level above: a common tileset refers to its neighbours."""
    access = store_access(destination)
    return open_store(address, access), open_store(address.parent, access) if address.parent else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the path is too long
        return False
