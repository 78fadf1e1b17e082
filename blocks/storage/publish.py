"""Publication of finished files so that readers never see an incomplete export."""

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from blocks.disk import (
    disk_errors,
    real_path,
    replace,
    require_link_target,
    sync_file,
    sync_folder,
    trial_errors,
    trial_folder,
    write_whole,
)
from blocks.errors import ContentError
from blocks.file_lock import file_lock
from blocks.shared_folder import remove_inside, stat_inside
from blocks.storage.file_names import MANIFEST_NAME, safe_name
from blocks.storage.manifest import Manifest, read_manifest, with_modification_time, write_manifest


def publish_files(staged: Sequence[Path], destination: Path, manifest: Manifest) -> Manifest:
    """Move staged files to the destination, then write their manifest; returns the manifest as written.

    Each file is replaced atomically, and the manifest last. In between a reader may see the old manifest and a new
    file: modification time and SHA-256 differ, so `verify_published` rejects the pair. Files are deleted only after
    the new manifest is written, and only those that the old manifest lists.

    Args:
        staged: Files named like the paths in the manifest; on another disk than the destination they are copied.
        destination: The published folder, created if missing.
        manifest: Its `files` have size and SHA-256; the modification times are filled in here.

    Raises:
        ContentError: The files and the manifest do not match.
        DiskError: A file cannot be written; each published file is complete, either the old or the new one.
    """
    by_name = {path.name: path for path in staged}
    require_match(by_name, manifest)
    files = tuple(with_modification_time(file, by_name[file.path]) for file in manifest.files)
    complete = manifest.model_copy(update={"files": files})
    with disk_errors(destination):
        destination.mkdir(parents=True, exist_ok=True)
        for path in staged:
            sync_file(path)
        for path in staged:
            _move(path, destination / path.name)
        sync_folder(destination)
    before = read_manifest(destination)
    _publish_manifest(complete, staged[0].parent, destination)
    _remove_unlisted(destination, before, complete)
    return complete


def check_publishable(staging_root: Path, destination: Path, name: str = "file") -> None:
    """Check with a small file that `publish_files` will work, before a download starts; creates the staging folder.

    Args:
        staging_root: The folder to download into.
        destination: The folder to publish in.
        name: A name like that of the published file; its length may be too much for a file system.

    Raises:
        ConfigurationError: A file cannot be written, locked, moved or replaced there.
    """
    require_link_target(destination)
    target = real_path(destination)
    folder = target if target.is_dir() else target.parent
    with trial_errors(staging_root):
        staging_root.mkdir(parents=True, exist_ok=True)
    with trial_errors(folder), trial_folder(staging_root) as staging, trial_folder(folder) as published:
        with file_lock(staging / "lock"):
            for content in (b"the first", b"the second, which replaces it"):
                write_whole(staging / f"{name}.part.json", content)
                (staging / name).write_bytes(content)
                sync_file(staging / name)
                _move(staging / name, published / name)
        sync_folder(folder)


def replace_manifest(folder: Path, staging_root: Path, before: Manifest, now: Manifest) -> bool:
    """Replace the manifest of published files that stay as they are; false if another process has published meanwhile.

    Raises:
        DiskError: The manifest cannot be written; the one before stays.
    """
    with disk_errors(staging_root):
        staging_root.mkdir(parents=True, exist_ok=True)
        with trial_folder(staging_root) as staging:
            is_unchanged = read_manifest(folder) == before
            if is_unchanged:
                _publish_manifest(now, staging, folder)
            return is_unchanged


def _publish_manifest(manifest: Manifest, staging: Path, destination: Path) -> None:
    """Write the manifest in the staging folder and move it, so a killed process leaves no draft there."""
    write_manifest(staging, manifest)
    with disk_errors(destination):
        _move(staging / MANIFEST_NAME, destination / MANIFEST_NAME)
        sync_folder(destination)


def verify_published(folder: Path, manifest: Manifest, *, full: bool = False) -> None:
    """Check the files of a folder against its manifest.

    Compares size and modification time; with `full`, or if the time differs (a restored backup), the
    recorded digest.

    Raises:
        ContentError: A file is missing or different; the message names the first one.
    """
    for file in manifest.files:
        path = folder / file.path
        try:
            state = stat_inside(folder, file.path)
            is_same = state.st_size == file.size
            if is_same and (full or state.st_mtime_ns != file.mtime_ns):
                algorithm, digest = file.digest
                is_same = digest_of(path, algorithm) == digest
        except OSError:
            raise ContentError(f"{file.path} is missing in {folder}. Export it again.") from None
        if not is_same:
            raise ContentError(f"{file.path} in {folder} is not the file that was exported. Export it again.")


def require_match(staged: dict[str, Path], manifest: Manifest) -> None:
    """Check that staged files are those that a manifest lists, under names that every file system can have.

    Raises:
        ContentError: They are not.
    """
    names = [file.path for file in manifest.files]
    if len({name.casefold() for name in names}) != len(names) or set(names) != set(staged):
        raise ContentError("The downloaded files and the manifest do not list the same names.")
    for name in names:
        if name != safe_name(name):
            raise ContentError(f"{name!r} is not a valid file name on every file system.")


def _move(source: Path, target: Path) -> None:
    """Move a file atomically; from another disk, copy it beside the target and rename the copy."""
    try:
        replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}.incoming")
        draft.unlink(missing_ok=True)  # it may be a symbolic link, which copyfile would follow
        shutil.copyfile(source, draft)
        with contextlib.suppress(OSError):  # some mounts keep neither times nor permissions
            shutil.copystat(source, draft)
        sync_file(draft)
        replace(draft, target)
        source.unlink()


def _remove_unlisted(folder: Path, before: Manifest | None, now: Manifest) -> None:
    """Delete files that only the previous manifest lists; files that cannot be deleted (open on Windows) stay."""
    kept = {file.path.casefold() for file in now.files}
    for file in before.files if before else ():
        if file.path.casefold() not in kept:
            with contextlib.suppress(OSError):
                remove_inside(folder, file.path)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex digits."""
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    """The hash of that name of a file in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
