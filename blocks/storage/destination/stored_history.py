"""Earlier exports in an object store: `history/<label>/` below the export, each whole and with its manifest.

They are copies that the store makes itself. The manifest of a copy is written last, so a copy that was interrupted is
no export, and is made again.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from blocks.errors import DiskError, InterruptedTransferError
from blocks.storage.destination.object_store import MISSING, Condition, ListedObject, ObjectStore
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.file_names import with_suffix
from blocks.storage.history import HISTORY, KeptExport, is_same, label_of
from blocks.storage.manifest import Manifest, ManifestFile

_AT_ONCE = 32
_MOST_ALIKE = 1000


class StoredObjects(Protocol):
    """One export in a store, as its history needs it."""

    @property
    def store(self) -> ObjectStore:
        """Where it is."""
        ...

    @property
    def folder(self) -> Path:
        """Where copies of its small files are on this machine."""
        ...

    def key_of(self, path: str) -> str:
        """The key of a file by its path in the export."""
        ...

    def entries(self) -> Mapping[str, ListedObject]:
        """Everything below the key."""
        ...

    def is_whole(self, manifest: Manifest) -> bool:
        """True if every object is there as it was published."""
        ...

    def read_history(self) -> list[KeptExport]:
        """The earlier exports, the newest first."""
        ...

    def at(self, folder: Path) -> "StoredObjects":
        """The export whose copies would be in another folder."""
        ...

    def write_manifest(self, manifest: Manifest, condition: Condition) -> None:
        """Write the manifest under a condition."""
        ...

    def remove_manifest(self) -> None:
        """Delete the manifest."""
        ...


def keep_copy(export: StoredObjects, manifest: Manifest) -> None:
    """Copy the published export into the history; one that is damaged, or is there already, is left out."""
    history = export.read_history()
    if any(is_same(manifest, kept.manifest) for kept in history) or not export.is_whole(manifest):
        return
    target = export.at(export.folder / HISTORY / _free(label_of(manifest), {kept.folder.name for kept in history}))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(_copy, export, target), manifest.files))
    listed = target.entries()
    etags = {file.path: _etag_of(file, listed.get(target.key_of(file.path))) for file in manifest.files}
    with suppress(ChangedMeanwhileError):  # another process kept the same at the same time
        target.write_manifest(manifest.model_copy(update={"published_etags": etags}), MISSING)


def prune(export: StoredObjects, keep: int) -> None:
    """Delete the exports of the history but the newest `keep` and those of named versions.

    Only what their manifests list is deleted, as long as it is what was kept.
    """
    for kept in export.read_history()[keep:]:
        if kept.manifest.named_version is None:
            remove_kept(export, kept)


def remove_kept(export: StoredObjects, kept: KeptExport) -> None:
    """Delete what the manifest of an export lists, as long as it is what was kept."""
    place = export.at(kept.folder)
    listed, etags = place.entries(), kept.manifest.published_etags
    keys = {place.key_of(path): etag for path, etag in etags.items()}
    export.store.delete(key for key, etag in keys.items() if key in listed and listed[key].etag == etag)
    place.remove_manifest()


def _copy(source: StoredObjects, target: StoredObjects, file: ManifestFile) -> None:
    source.store.copy(source.key_of(file.path), target.key_of(file.path))


def _etag_of(file: ManifestFile, present: ListedObject | None) -> str:
    if present is None or present.size != file.size:
        raise InterruptedTransferError(f"{file.path} could not be copied into the history. Run the same command again.")
    return present.etag


def _free(label: str, taken: set[str]) -> str:
    names = [label, *(with_suffix(label, f" ({number})") for number in range(2, _MOST_ALIKE))]
    free = next((name for name in names if name not in taken), None)
    if free is None:
        raise DiskError(f"The history holds too many exports “{label}”. Look through and delete some.")
    return free
