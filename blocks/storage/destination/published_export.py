"""Where one export is published: the same steps in a folder and in an object store."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blocks.file_lock import file_lock
from blocks.storage.history import KeptExport, keep_linked, link_unchanged, prune, read_history
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest
from blocks.storage.publish import publish_files, replace_manifest, verify_published
from blocks.storage.tileset.publish import publish_tileset


class PublishedExport(Protocol):
    """An export of one iModel in one format, or the place where there will be one."""

    def read_manifest(self) -> Manifest | None:
        """The published manifest; None if there is none."""
        ...

    def read_history(self) -> list[KeptExport]:
        """The exports that were kept, the newest first."""
        ...

    def verify(self, kept: KeptExport, *, full: bool = False) -> None:
        """Check that an export that lies there is what was published; `full` reads its files.

        Raises:
            ContentError: A file is missing or different; the message names the first one.
        """
        ...

    def fetch(self, files: Iterable[ManifestFile]) -> None:
        """Have files of the current export in the folder on this machine.

        Raises:
            ContentError: One is missing.
        """
        ...

    def replace_manifest(self, kept: KeptExport, staging_root: Path, now: Manifest) -> bool:
        """Replace the manifest of files that stay as they are; false if another process has published meanwhile."""
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
