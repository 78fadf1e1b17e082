"""Read a published export for whatever comes after it: from a folder or an object store, with its hashes verified.

`fetch_published` is for flows of others, which get the address of a manifest in the event `itwin.export.published`.
"""

import asyncio
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from blocks.disk import disk_errors
from blocks.errors import ContentError, InputError
from blocks.shared_folder import home_expanded
from blocks.storage.destination.address import is_store_address, parse_address
from blocks.storage.destination.store_access import StoreAccess, open_store
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.export_destination import ExportDestination
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.manifest import Manifest, ManifestFile, Role, read_manifest
from blocks.storage.publish import digest_of
from tasks.load_blocks import load_saved
from tasks.output_place import access_of_environment

MODELS: Collection[Role] = ("model",)
MOST_READINGS = 3
"""Times that the manifest is read, if another export is published while its files are fetched."""


@dataclass(frozen=True)
class FetchedExport:
    """A published export; `files` are the paths of verified copies, in the order of the manifest."""

    manifest: Manifest
    files: tuple[Path, ...]


async def fetch_published(
    manifest: str, folder: Path, *, roles: Collection[Role] = MODELS, destination: str = "default"
) -> FetchedExport:
    """Fetch files of a published export into a folder, and compare each with the hash in the manifest.

    A file that is replaced meanwhile stays as it was fetched. From a folder on the same disk it is a hard link and no
    copy, so do not change it.

    Args:
        manifest: Path or address of the manifest, as `payload.manifest` of the event has it.
        folder: An existing folder for the files.
        roles: Which files: `model` (IFC), `log`, `tileset` and `tile` (3D Tiles), `content`, `preview`.
        destination: Name of a saved Export Destination block, for object stores.

    Raises:
        InputError: There is no such manifest.
        ContentError: A file is missing, or is not what was exported.
    """
    if Path(manifest).name != MANIFEST_NAME:
        raise InputError(f"{manifest} is no address of a manifest. Give `payload.manifest` of the event.")
    if not is_store_address(manifest):
        return await asyncio.to_thread(_fetch, home_expanded(manifest).parent, folder, roles)
    block = await load_saved(ExportDestination, destination)
    access = block.access if block else access_of_environment()
    return await asyncio.to_thread(_fetch, _stored(manifest, folder, access), folder, roles)


def _stored(manifest: str, folder: Path, access: StoreAccess) -> StoredExport:
    place, _, _ = manifest.rpartition("/")
    parent, _, key = place.rpartition("/")
    return StoredExport(open_store(parse_address(parent), access), key, folder)


def _fetch(source: Path | StoredExport, folder: Path, roles: Collection[Role]) -> FetchedExport:
    """Read the manifest and its files; again, if they do not agree because others were published meanwhile."""
    for _ in range(MOST_READINGS - 1):
        manifest = _manifest_of(source)
        try:
            return _fetch_all(source, manifest, folder, roles)
        except ContentError:
            if _manifest_of(source) == manifest:
                raise
    return _fetch_all(source, _manifest_of(source), folder, roles)


def _fetch_all(source: Path | StoredExport, manifest: Manifest, folder: Path, roles: Collection[Role]) -> FetchedExport:
    wanted = [file for file in manifest.files if file.role in roles]
    return FetchedExport(manifest, tuple(_fetch_file(source, file, folder) for file in wanted))


def _manifest_of(source: Path | StoredExport) -> Manifest:
    manifest = read_manifest(source) if isinstance(source, Path) else source.see().manifest
    if manifest is None:
        place = source if isinstance(source, Path) else f"{source.store.url}/{source.key}"
        raise InputError(f"There is no valid {MANIFEST_NAME} in {place}. The export may have been removed.")
    return manifest


def _fetch_file(source: Path | StoredExport, file: ManifestFile, folder: Path) -> Path:
    target = folder / file.path
    with disk_errors(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    algorithm, expected = file.digest
    if isinstance(source, Path):
        _link(source / file.path, target)
        digest = digest_of(target, algorithm)
    else:
        digest = source.store.download(source.key_of(file.path), target, algorithm)
    if digest != expected:
        target.unlink()
        raise ContentError(f"{file.path} is not the file that the manifest describes. Export it again.")
    return target


def _link(source: Path, target: Path) -> None:
    if source.is_symlink() or not source.is_file():
        raise ContentError(f"{source} is missing. Export it again.")
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        with disk_errors(target.parent):
            shutil.copyfile(source, target)
