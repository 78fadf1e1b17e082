"""Earlier exports beside the current one: `history/<label>/` in its folder, each whole and with its manifest.

What is in there is not changed again, apart from the name of the version in its manifest. Files that two exports share
are hard links, so they take space once.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blocks.disk import disk_errors, is_unsupported, remove_folder, replace, sync_file, sync_folder
from blocks.errors import ContentError, DiskError
from blocks.shared_folder import remove_empty_folders, remove_inside, stat_inside
from blocks.storage.file_names import MANIFEST_NAME, safe_name, with_suffix
from blocks.storage.manifest import Manifest, read_manifest, write_manifest
from blocks.storage.publish import sha256_of, verify_published

HISTORY = "history"
REJECTED = "rejected"
"""Exports that acceptance rules rejected (`blocks.storage.rejected`); a swap of folders carries them along."""
_INCOMING = ".incoming"
"""An export that is being linked; a killed process leaves it, and the next one removes it."""
_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK})
_MOST_ALIKE = 1000


@dataclass(frozen=True)
class KeptExport:
    """An export in a folder of its own, with its manifest."""

    folder: Path
    manifest: Manifest


def label_of(manifest: Manifest) -> str:
    """Name of an export in the history: index of the changeset, and name of the version or date of the export."""
    index = manifest.changeset_index
    changeset = f"{index:04}" if index is not None else (manifest.changeset_id or "unknown")[:12]
    version = manifest.named_version.name if manifest.named_version else f"{manifest.created_at:%Y-%m-%d}"
    return safe_name(f"{changeset} {version}")


def read_history(folder: Path) -> list[KeptExport]:
    """The exports in the history of a published folder, the newest first; whatever else lies there is left out."""
    return read_kept(folder / HISTORY)


def read_kept(parent: Path) -> list[KeptExport]:
    """The exports in the folders of a folder, the newest first."""
    if parent.is_symlink() or not parent.is_dir():
        return []
    found = [path for path in parent.iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    kept = [KeptExport(path, manifest) for path in found if (manifest := read_manifest(path)) is not None]
    return sorted(kept, key=lambda export: export.manifest.created_at, reverse=True)


def keep_linked(folder: Path) -> None:
    """Link the files of the current export into the history, before they are replaced; a damaged export is left out.

    Interrupted, it leaves the current export as it is, and can be repeated.

    Raises:
        DiskError: The disk refuses.
    """
    manifest = _whole(folder)
    if manifest is None or any(is_same(manifest, export.manifest) for export in read_history(folder)):
        return
    link_export(folder, manifest, folder / HISTORY)


def link_export(source: Path, manifest: Manifest, parent: Path) -> Path:
    """Link the files of an export into a folder of its own, which appears whole or not at all; returns that folder.

    Raises:
        DiskError: The disk refuses.
    """
    with disk_errors(_ensure_folder(parent)):
        incoming = parent / _INCOMING
        remove_folder(incoming)
        link_files(source, manifest, incoming)
        write_manifest(incoming, manifest)
        target = _free(parent, label_of(manifest))
        replace(incoming, target)
        sync_folder(parent)
    return target


def link_files(source: Path, manifest: Manifest, target: Path) -> None:
    """Link the files of an export, without its manifest, into a folder that is made for them.

    Raises:
        DiskError: The disk refuses.
    """
    with disk_errors(target.parent):
        target.mkdir()
        for file in manifest.files:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            _link(source / file.path, target / file.path)


def keep_moved(previous: Path, folder: Path, *, is_kept: bool) -> None:
    """Move what a folder that was swapped out holds besides its export under the new one: history and rejected exports.

    The old export itself goes into the history if it is kept.

    Interrupted, it leaves every export whole in one of both folders, and can be repeated.

    Raises:
        DiskError: The disk refuses.
    """
    with disk_errors(folder):
        for name in (HISTORY, REJECTED):
            older = previous / name
            if older.is_dir() and not older.is_symlink():
                for path in sorted(older.iterdir()):
                    replace(path, _free(_ensure_folder(folder / name), path.name))
                older.rmdir()
        manifest = _whole(previous) if is_kept else None
        if manifest is not None:
            replace(previous, _free(_ensure_folder(folder / HISTORY), label_of(manifest)))
            sync_folder(folder / HISTORY)


def prune(folder: Path, keep: int) -> None:
    """Delete the exports of the history but the newest `keep` and those of named versions.

    Only what their manifests list is deleted; a file that cannot be deleted (open on Windows) stays until the next
    time.
    """
    for export in read_history(folder)[keep:]:
        if export.manifest.named_version is None:
            remove_export(export)


def remove_export(export: KeptExport) -> None:
    """Delete what the manifest of an export lists, and its folder if nothing is left in it."""
    with contextlib.suppress(OSError):
        for file in export.manifest.files:
            remove_inside(export.folder, file.path)
        remove_inside(export.folder, MANIFEST_NAME)  # the last, so that an interruption is made up for
        remove_empty_folders(export.folder)


def link_unchanged(staged: Iterable[Path], folder: Path) -> None:
    """Replace staged files by links to published ones of the same name and content, so that they take space once."""
    manifest = read_manifest(folder)
    published = {file.path: file for file in manifest.files} if manifest else {}
    for path in staged:
        before = published.get(path.name)
        if before is None or path.stat().st_size != before.size or sha256_of(path) != before.sha256:
            continue
        with contextlib.suppress(OSError):
            stat_inside(folder, before.path)
            if sha256_of(folder / before.path) == before.sha256:
                linked = path.with_name(f".{path.name}.linked")
                linked.unlink(missing_ok=True)
                os.link(folder / before.path, linked, follow_symlinks=False)
                replace(linked, path)


def _whole(folder: Path) -> Manifest | None:
    manifest = read_manifest(folder)
    if manifest is not None:
        with contextlib.suppress(ContentError):
            verify_published(folder, manifest)
            return manifest
    return None


def is_same(one: Manifest, other: Manifest) -> bool:
    """True for two manifests of the same export."""
    return (one.created_at, one.run_id, one.files) == (other.created_at, other.run_id, other.files)


def _ensure_folder(parent: Path) -> Path:
    if parent.is_symlink():
        raise DiskError(f"{parent} is a symbolic link. Exports are kept there: make it a folder of its own.")
    with disk_errors(parent.parent):
        parent.mkdir(parents=True, exist_ok=True)
    return parent


def _free(history: Path, label: str) -> Path:
    """The folder of this label, with a number if there is one already: another export of the same day or version."""
    names = [label, *(with_suffix(label, f" ({number})") for number in range(2, _MOST_ALIKE))]
    for name in names:
        if not os.path.lexists(history / name):
            return history / name
    raise DiskError(f"The folder {history} holds too many exports “{label}”. Look through and delete some.")


def _link(source: Path, target: Path) -> None:
    """A hard link; a copy where the file system has none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS and not is_unsupported(error):
            raise
        shutil.copy2(source, target, follow_symlinks=False)
        sync_file(target)
