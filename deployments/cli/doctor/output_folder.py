"""Whether exports can be published: all that publishing does is tried, for permissions alone do not tell."""

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich import filesize

from blocks.disk import MISSING_OPERATIONS, require_writable
from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from blocks.storage.destination.store_access import open_store
from blocks.storage.destination.store_probe import try_store
from blocks.storage.destination.web_access import describe_web_access
from blocks.storage.publish import check_publishable
from blocks.storage.tileset.publish import check_tileset_publishable
from tasks.ifc.options import IfcRequest
from tasks.mesh.options import MeshRequest
from tasks.output_place import access_of_environment, address_of, check_output_dir

if TYPE_CHECKING:
    from blocks.storage.export_destination import ExportDestination

LEAST_BYTES = 2_000_000_000


async def check_output(destination: str, imodel_id: str | None = None, *, is_api_there: bool) -> str:
    """Say where exports can be published: in a folder, or in an object store.

    Raises:
        ConfigurationError: They cannot.
    """
    block = await _saved(destination) if is_api_there else None
    output = (block.url if block else "") or read_settings().output_dir
    address = address_of(output)
    if address is None:
        return await asyncio.to_thread(check_output_folder, Path(output), imodel_id)
    store = open_store(address, block.access if block else access_of_environment())
    await asyncio.to_thread(try_store, store)
    web = await asyncio.to_thread(describe_web_access, store)
    work = check_output_dir(output)
    await asyncio.to_thread(require_writable, work)
    return (
        f"Exports can be published in {store.url}, where conditional writes hold. They are made ready in {work}, "
        f"{filesize.decimal(shutil.disk_usage(work).free)} free. {web}"
    )


async def _saved(destination: str) -> "ExportDestination | None":
    from blocks.storage.export_destination import ExportDestination  # noqa: PLC0415  imports Prefect
    from tasks.load_blocks import load_saved  # noqa: PLC0415  imports Prefect

    return await load_saved(ExportDestination, destination)


def check_output_folder(folder: Path, imodel_id: str | None = None) -> str:
    """Say where exports can be published and how much room there is; with an iModel, in its own folders too.

    Raises:
        ConfigurationError: They cannot, or the disk is nearly full.
    """
    place = folder.expanduser().absolute()
    require_writable(place)
    check_publishable(place, place)
    check_tileset_publishable(place, place / "mesh")
    if imodel_id:
        ifc = IfcRequest(imodel_id=imodel_id, output_dir=place)
        check_publishable(ifc.staging_root.root, ifc.folder)
        mesh = MeshRequest(imodel_id=imodel_id, output_dir=place)
        check_tileset_publishable(mesh.staging_root.root, mesh.folder)
    free = shutil.disk_usage(place).free
    if free < LEAST_BYTES:
        raise ConfigurationError(
            f"{place} has only {filesize.decimal(free)} left. Free some space, or set ITWIN_OUTPUT_DIR."
        )
    without = "".join(f"; it has no {what}, and exports go on without" for what in MISSING_OPERATIONS.at(place))
    return f"Exports can be published in {place}, {filesize.decimal(free)} free{without}."
