"""Rejected exports in an object store: complete copies with their manifests, each in `rejected/<label>/`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from blocks.storage.file_names import with_suffix
from blocks.storage.history import REJECTED, KeptExport, label_of
from blocks.storage.manifest import Manifest
from blocks.storage.rejected import MOST_REJECTED


class StoredWithRejected(Protocol):
    """An export in a store, as putting one aside needs it."""

    @property
    def folder(self) -> Path:
        """Where copies of its small files are on this machine."""
        ...

    def at(self, folder: Path) -> "StoredWithRejected":
        """The export whose copies would be in another folder."""
        ...

    def read_rejected(self) -> list[KeptExport]:
        """The rejected exports, the newest first."""
        ...

    def replace(self, sources: Mapping[str, Path], manifest: Manifest, keep: int) -> Manifest:
        """Upload files and write the manifest."""
        ...

    def with_copies(self, staging: Path, manifest: Manifest) -> Manifest:
        """Keep copies of the small files."""
        ...

    def remove(self, kept: KeptExport) -> None:
        """Delete a rejected export."""
        ...


def upload_aside(export: StoredWithRejected, staging: Path, manifest: Manifest) -> KeptExport:
    """Upload a fetched export among the rejected ones, of which the newest stay.

    Interrupted, it leaves objects without a manifest, which are no export, and can be repeated.
    """
    place = export.at(export.folder / REJECTED / _name_of(manifest))
    sources = {file.path: staging / file.path for file in manifest.files}
    published = place.with_copies(staging, place.replace(sources, manifest, 0))
    for older in export.read_rejected()[MOST_REJECTED:]:
        export.remove(older)
    return KeptExport(place.folder, published)


def _name_of(manifest: Manifest) -> str:
    """The label with a part that differs for another export, because nothing keeps two machines from the same label."""
    digests = sorted(file.digest for file in manifest.files if file.role in {"model", "tile", "tileset"})
    facts = repr((manifest.run_id, manifest.changeset_id, digests)).encode()
    return with_suffix(label_of(manifest), f" {hashlib.sha256(facts).hexdigest()[:8]}")
