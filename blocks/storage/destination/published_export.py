"""Where one export is published: the same steps in a folder and in an object store."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from blocks.file_lock import file_lock
from blocks.storage.content_file import replace_reports
from blocks.storage.history import KeptExport, keep_linked, link_unchanged, prune, read_history, remove_export
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest
from blocks.storage.publish import publish_files, replace_manifest, verify_published
from blocks.storage.rejected import put_aside, read_rejected
from blocks.storage.tileset.publish import publish_tileset


class PublishedExport(Protocol):
    """An export of one iModel in one format, or the place where there will be one."""

    def read_manifest(self) -> Manifest | None:
        """The published manifest; None if there is none."""
        ...

    def read_history(self) -> list[KeptExport]:
        """The exports that were kept, the newest first."""
        ...

    def read_rejected(self) -> list[KeptExport]:
        """The exports that acceptance rules rejected, the newest first."""
        ...

    def at(self, folder: Path) -> "PublishedExport":
        """This export, or the one in its history or among its rejected ones whose files are in another folder."""
        ...

    def verify(self, kept: KeptExport, *, full: bool = False) -> None:
        """Check that an export that lies there is what was published; `full` reads its files.

        Raises:
            ContentError: A file is missing or different; the message names the first one.
        """
        ...

    def fetch(self, files: Iterable[ManifestFile]) -> None:
        """Have files of the export in the folder on this machine.

        Raises:
            ContentError: One is missing.
        """
        ...

    def replace_manifest(self, kept: KeptExport, staging_root: Path, now: Manifest) -> bool:
        """Replace the manifest of files that stay as they are; false if another process has published meanwhile."""
        ...

    def write_reports(self, manifest: Manifest, reports: Mapping[str, bytes]) -> Manifest:
        """Write reports beside the files of an export, in place of earlier ones; returns its manifest with them."""
        ...

    def put_aside(self, staging: Path, manifest: Manifest, *, lock: Path) -> KeptExport:
        """Put a fetched export among the rejected ones; readers see no difference.

        Args:
            staging: Where the files are.
            manifest: Lists them.
            lock: Held by processes of machines that share the folder.
        """
        ...

    def remove(self, kept: KeptExport) -> None:
        """Delete one of the rejected exports."""
        ...

    def publish(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:
        """Publish the files that a manifest lists, whole or not at all; returns the manifest as it is published.

        Args:
            staging: Where the files are.
            manifest: Lists them.
            keep: How many earlier exports stay in the history; with 0 the history stays as it is.
            lock: Held by processes of machines that share the folder.
        """
        ...


@dataclass(frozen=True)
class FolderExport:
    """An export in a folder."""

    folder: Path

    def read_manifest(self) -> Manifest | None:
        """The published manifest; None if there is none."""
        return read_manifest(self.folder)

    def read_history(self) -> list[KeptExport]:
        """The exports that were kept, the newest first."""
        return read_history(self.folder)

    def read_rejected(self) -> list[KeptExport]:
        """The exports that acceptance rules rejected, the newest first."""
        return read_rejected(self.folder)

    def at(self, folder: Path) -> Self:
        """The export in another folder."""
        return dataclasses.replace(self, folder=folder)

    def verify(self, kept: KeptExport, *, full: bool = False) -> None:
        """Compare sizes and modification times, or with `full` the SHA-256.

        Raises:
            ContentError: A file is missing or different; the message names the first one.
        """
        verify_published(kept.folder, kept.manifest, full=full)

    def fetch(self, files: Iterable[ManifestFile]) -> None:
        """Nothing to do: they are there."""

    def replace_manifest(self, kept: KeptExport, staging_root: Path, now: Manifest) -> bool:
        """Replace the manifest of files that stay as they are; false if another process has published meanwhile."""
        return replace_manifest(kept.folder, staging_root, kept.manifest, now)

    def write_reports(self, manifest: Manifest, reports: Mapping[str, bytes]) -> Manifest:
        """Write reports beside the files of an export, in place of earlier ones; returns its manifest with them."""
        return manifest.model_copy(update={"files": replace_reports(self.folder, manifest.files, reports)})

    def put_aside(self, staging: Path, manifest: Manifest, *, lock: Path) -> KeptExport:
        """Link the fetched files among the rejected exports; processes that do so take turns."""
        with file_lock(lock):
            return put_aside(staging, self.folder, manifest)

    def remove(self, kept: KeptExport) -> None:
        """Delete one of the rejected exports."""
        remove_export(kept)

    def publish(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:
        """Move the files into place, and keep the export before them if asked; processes that do so take turns."""
        staged = [staging / file.path for file in manifest.files]
        if not keep:
            return publish_files(staged, self.folder, manifest)
        with file_lock(lock):
            keep_linked(self.folder)
            link_unchanged(staged, self.folder)
            published = publish_files(staged, self.folder, manifest)
            prune(self.folder, keep)
            return published


@dataclass(frozen=True)
class FolderTileset(FolderExport):
    """A tileset in a folder."""

    def publish(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:
        """Swap the staging folder into place; two processes that export the same take turns."""
        with file_lock(lock):
            return publish_tileset(staging, self.folder, manifest, keep=keep)
