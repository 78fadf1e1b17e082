"""Swap a verified tileset into place: readers find the old one or the new one."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from blocks.disk import (
    disk_errors,
    is_mount_point,
    real_path,
    remove_folder,
    replace,
    require_link_target,
    sync_all,
    sync_folder,
    trial_errors,
    trial_folder,
    write_whole,
)
from blocks.errors import ConfigurationError, DiskError
from blocks.file_lock import file_lock
from blocks.shared_folder import remove_empty_folders, remove_inside
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.history import keep_moved, prune
from blocks.storage.manifest import Manifest, read_manifest, with_modification_time, write_manifest
from blocks.storage.tileset.download import checkpoint_path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def publish_tileset(staging: Path, destination: Path, manifest: Manifest, *, keep: int = 0) -> Manifest:
    """Put the staging folder where readers look; returns the manifest as written.

    Linux swaps two folders in one step. Elsewhere there is a moment between two renames when the name is
    free; a crash in it is repaired by `recover`. What strangers put into the old folder is set aside.

    Args:
        staging: A whole, verified tileset, on the destination's disk.
        destination: The folder readers know, or a link to it.
        manifest: Lists every file; the time stamps are filled in here.
        keep: How many earlier tilesets stay in the history; with 0 the history stays as it is.

    Raises:
        ContentError: A file is missing or has another size than the manifest says; the old tileset is in its place.
        DiskError: The disk refuses; the old tileset is in its place.
    """
    recover(destination, is_kept=keep > 0)
    destination = real_path(destination)  # a link stays, and what it leads to is swapped
    with disk_errors(destination.parent):
        files = tuple(with_modification_time(file, staging / file.path) for file in manifest.files)
        complete = manifest.model_copy(update={"files": files})
        write_manifest(staging, complete)
        sync_all(staging / file.path for file in files)  # everything before the swap
        destination.parent.mkdir(parents=True, exist_ok=True)
        _swap(staging, destination)
        sync_folder(destination.parent)
        checkpoint_path(staging).unlink(missing_ok=True)
        _put_away(previous_path(destination), destination, is_kept=keep > 0)
        if keep:
            prune(destination, keep)
    return complete


def check_tileset_publishable(staging_root: Path, destination: Path) -> None:
    """Do with empty folders what `publish_tileset` will do, so that nothing is fetched in vain; makes what they lie in.

    Raises:
        ConfigurationError: It does not work there.
    """
    require_link_target(destination)
    destination = real_path(destination)
    if is_mount_point(destination):
        raise ConfigurationError(
            f"The folder {destination} is a mount point, which cannot be renamed, and a tileset is published by "
            f"renaming its folder. Mount the disk elsewhere, and make {destination.name} a link to a folder on it."
        )
    with trial_errors(destination.parent):
        staging_root.mkdir(parents=True, exist_ok=True)
        with trial_folder(staging_root) as staging, trial_folder(destination.parent) as target:
            _try_swapping(staging, target)
        sync_folder(destination.parent)


def _try_swapping(staging: Path, target: Path) -> None:
    with file_lock(staging / "lock"):
        for content in (b"the first", b"the second, which replaces it"):
            (staging / "mesh").mkdir()
            write_whole(staging / "mesh" / "file", content)
            _swap(staging / "mesh", target / "mesh")
            remove_folder(previous_path(target / "mesh"))


def recover(destination: Path, *, is_kept: bool = False) -> None:
    """Repair what a crash in the middle of a swap left; call it before looking at a published tileset.

    Args:
        destination: The folder readers know, or a link to it.
        is_kept: The tileset that was swapped out belongs into the history.

    Raises:
        DiskError: The disk refuses.
    """
    destination = real_path(destination)
    previous = previous_path(destination)
    with disk_errors(destination.parent):
        if previous.is_symlink():  # publishing makes none, and what it leads to is not ours
            previous.unlink(missing_ok=True)
        if not previous.exists():
            return
        if destination.exists():
            _put_away(previous, destination, is_kept=is_kept and not _is_newer(previous, destination))
        else:
            replace(previous, destination)


def _is_newer(folder: Path, other: Path) -> bool:
    """True if `folder` holds a newer tileset than `other`: a crash interrupted its publication."""
    manifest, published = read_manifest(folder), read_manifest(other)
    return manifest is not None and published is not None and manifest.created_at > published.created_at


def previous_path(destination: Path) -> Path:
    """Where the old tileset is while the new one takes its place, and the new one just before that."""
    return destination.with_name(f".{destination.name}.previous")


def _swap(staging: Path, destination: Path) -> None:
    previous = previous_path(destination)
    if not destination.exists():
        replace(staging, destination)
        return
    replace(staging, previous)  # what the staging folder holds is deleted, so the old tileset must not get there
    if not _exchange(previous, destination):
        replace(previous, staging)
        replace(destination, previous)
        try:
            replace(staging, destination)
        except OSError:
            replace(previous, destination)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (Linux, glibc 2.28); False where that cannot be done."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)) == 0


def _put_away(previous: Path, destination: Path, *, is_kept: bool) -> None:
    """Keep the tileset that was swapped out in the history, or delete it; its own history goes to the new one."""
    keep_moved(previous, destination, is_kept=is_kept)
    _discard(previous)


def _discard(folder: Path) -> None:
    """Delete what the folder's manifest lists; if anything else lies there, set it aside for its owner.

    Another process may delete the same folder at the same time.
    """
    manifest = read_manifest(folder)
    if manifest:
        for file in manifest.files:
            remove_inside(folder, file.path)
        remove_inside(folder, MANIFEST_NAME)
    remove_empty_folders(folder)
    with suppress(FileNotFoundError):
        if folder.exists():
            _set_aside(folder)


def _set_aside(folder: Path) -> None:
    name = folder.name.removeprefix(".").removesuffix(".previous")
    for number in range(1, 1000):
        target = folder.with_name(f"{name}.kept-{number}")
        if not target.exists():
            replace(folder, target)
            return
    raise DiskError(f"The folder {folder.parent} holds too many {name}.kept folders. Look through and delete them.")
