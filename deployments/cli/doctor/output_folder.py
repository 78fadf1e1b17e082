"""Whether exports can be published: all that publishing does is tried, for permissions alone do not tell."""

import shutil
from pathlib import Path

from rich import filesize

from blocks.disk import MISSING_OPERATIONS, require_writable
from blocks.errors import ConfigurationError
from blocks.storage.publish import check_publishable
from blocks.storage.tileset.publish import check_tileset_publishable
from tasks.ifc.options import IfcRequest
from tasks.mesh.options import MeshRequest

LEAST_BYTES = 2_000_000_000


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
