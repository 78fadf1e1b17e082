"""Put finished files where readers look, so that none of them ever meets half an export."""

import contextlib
import dataclasses
import errno
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from blocks.disk import (
    disk_errors,
    real_path,
    replace,
    require_link_target,
    sync_file,
    sync_folder,
    trial_errors,
    trial_folder,
)
from blocks.errors import ContentError
from blocks.file_lock import file_lock
from blocks.storage.file_names import MANIFEST_NAME, safe_name
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest, write_manifest


def publish_files(staged: Sequence[Path], destination: Path, manifest: Manifest) -> Manifest:
    """Move staged files into place, then their manifest; returns the manifest as written.

    Each file appears whole, and the manifest comes last. Between the two a reader may meet the old manifest
    beside a new file: neither time stamp nor SHA-256 fits, so `verify_published` refuses the pair. Nothing is
    deleted before the new manifest stands, and then only what the old one lists: other people's files stay.

    Args:
        staged: Files whose names are the paths in the manifest; best on the destination's disk.
        destination: Made if it is not there.
        manifest: Its `files` hold size and SHA-256; the time stamps are filled in here.

    Raises:
        ContentError: Files and manifest do not belong together.
        DiskError: The disk refuses; each published file is the old or the new one, whole.
    """
    by_name = {path.name: path for path in staged}
    complete = manifest.model_copy(update={"files": tuple(_stamped(file, by_name) for file in manifest.files)})
    _require_match(by_name, complete)
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


def try_publishing(staging_root: Path, destination: Path) -> None:
    """Do with an empty file what `publish_files` will do, so that nothing is fetched in vain; makes the staging folder.

    Raises:
        ConfigurationError: It does not work there.
    """
    require_link_target(destination)
    target = real_path(destination)
    folder = target if target.is_dir() else target.parent
    with trial_errors(staging_root):
        staging_root.mkdir(parents=True, exist_ok=True)
    with trial_errors(folder), trial_folder(staging_root) as staging, trial_folder(folder) as published:
        with file_lock(staging / "lock"):
            for content in (b"the first", b"the second, which replaces it"):
                (staging / "file").write_bytes(content)
                sync_file(staging / "file")
                _move(staging / "file", published / "file")
        sync_folder(folder)


def _publish_manifest(manifest: Manifest, staging: Path, destination: Path) -> None:
    """Written where nobody looks: the draft of a killed process must not lie among published files."""
    write_manifest(staging, manifest)
    with disk_errors(destination):
        _move(staging / MANIFEST_NAME, destination / MANIFEST_NAME)
        sync_folder(destination)


def verify_published(folder: Path, manifest: Manifest, *, full: bool = False) -> None:
    """Hold what lies in the folder against its manifest.

    Size and time stamp are looked at; with `full`, or where the time differs (a backup), the SHA-256.

    Raises:
        ContentError: Names the first file that is missing or different.
    """
    for file in manifest.files:
        path = folder.joinpath(*PurePosixPath(file.path).parts)
        try:
            state = path.stat()
            is_same = state.st_size == file.size
            if is_same and (full or state.st_mtime_ns != file.mtime_ns):
                is_same = _sha256(path) == file.sha256
        except OSError:
            raise ContentError(f"{file.path} is missing in {folder}. Export it again.") from None
        if not is_same:
            raise ContentError(f"{file.path} in {folder} is not the file that was exported. Export it again.")


def _stamped(file: ManifestFile, staged: dict[str, Path]) -> ManifestFile:
    path = staged.get(file.path)
    if path is None or not path.is_file():
        raise ContentError(f"{file.path} is listed in the manifest but was not fetched.")
    state = path.stat()
    if state.st_size != file.size:
        raise ContentError(f"{file.path} has {state.st_size} bytes instead of {file.size}.")
    return dataclasses.replace(file, mtime_ns=state.st_mtime_ns)


def _require_match(staged: dict[str, Path], manifest: Manifest) -> None:
    names = [file.path for file in manifest.files]
    if len({name.casefold() for name in names}) != len(names) or set(names) != set(staged):
        raise ContentError("The fetched files and the manifest do not list the same names.")
    for name in names:
        if name != safe_name(name):
            raise ContentError(f"{name!r} is not a name a file may have everywhere.")


def _move(source: Path, target: Path) -> None:
    """Rename; from another disk copy first, so that the last step is a rename all the same."""
    try:
        replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}.incoming")
        shutil.copyfile(source, draft)
        with contextlib.suppress(OSError):  # some mounts keep neither times nor permissions
            shutil.copystat(source, draft)
        sync_file(draft)
        replace(draft, target)
        source.unlink()


def _remove_unlisted(folder: Path, before: Manifest | None, now: Manifest) -> None:
    """Delete what only the manifest before lists; a file somebody holds open may stay."""
    kept = {file.path.casefold() for file in now.files}
    for file in before.files if before else ():
        if file.path == safe_name(file.path) and file.path.casefold() not in kept:
            try:
                (folder / file.path).unlink(missing_ok=True)
            except OSError:
                continue


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
