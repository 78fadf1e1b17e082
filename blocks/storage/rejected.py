"""Exports that acceptance rules rejected: `rejected/<label>/` in the published folder, each with its manifest.

The newest `MOST_REJECTED` stay there, so that a person can look and so that they can be checked again without a remote
run.
"""

from pathlib import Path

from blocks.disk import disk_errors, real_path, sync_all
from blocks.storage.history import REJECTED, KeptExport, link_export, read_kept, remove_export
from blocks.storage.manifest import Manifest, with_modification_time

MOST_REJECTED = 3


def put_aside(staging: Path, folder: Path, manifest: Manifest) -> KeptExport:
    """Put a fetched export among the rejected ones; readers of the published folder see no difference.

    Interrupted, it leaves the staging folder as it is, and can be repeated.

    Args:
        staging: The fetched files.
        folder: The published folder.
        manifest: Lists the files; the modification times are filled in here.

    Raises:
        ContentError: The files and the manifest do not match.
        DiskError: The disk refuses.
    """
    parent = real_path(folder) / REJECTED
    with disk_errors(staging):
        files = tuple(with_modification_time(file, staging / file.path) for file in manifest.files)
        complete = manifest.model_copy(update={"files": files})
        sync_all(staging / file.path for file in files)
    target = link_export(staging, complete, parent)
    for older in read_rejected(folder)[MOST_REJECTED:]:
        remove_export(older)
    return KeptExport(folder / REJECTED / target.name, complete)


def read_rejected(folder: Path) -> list[KeptExport]:
    """The rejected exports beside a published one, the newest first."""
    return read_kept(folder / REJECTED)
