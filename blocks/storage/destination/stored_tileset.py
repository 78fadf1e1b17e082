"""A tileset in an object store: tiles in a generation that never changes, and a small root that refers to it.

A viewer that holds the old root goes on with the old tiles, one that loads anew gets the new ones, nobody a mixture.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from blocks.disk import disk_errors
from blocks.errors import InterruptedTransferError
from blocks.storage.destination.generation_upload import Generation, GenerationPlace, GenerationUpload
from blocks.storage.destination.late_listing import entries_with
from blocks.storage.destination.object_store import ListedObject
from blocks.storage.destination.root_document import root_document
from blocks.storage.destination.stored_export import SMALL, StoredExport
from blocks.storage.destination.stored_manifest import in_folder_form, is_as_published
from blocks.storage.manifest import LONGEST_MANIFEST, Manifest, ManifestFile, with_modification_time
from blocks.storage.tileset.references import ROOT

GRACE = timedelta(days=1)


@dataclass(frozen=True)
class StoredTileset(StoredExport):
    """The objects of one tileset.

    Attributes:
        grace: How long a generation stays that no manifest refers to any more.
        upload: What has taken tiles already while others were fetched.
    """

    grace: timedelta = GRACE
    upload: GenerationUpload | None = None

    def publish(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:  # noqa: ARG002  of folders
        """Upload the tiles as a new generation, then the root that refers to it, then the manifest, which is returned.

        Tiles of the published tileset that have not changed are copied inside the store.

        Raises:
            ContentError: A file is missing or has another size than the manifest says.
            ConflictError: Other processes keep publishing there.
        """
        seen = self.see().manifest
        if seen and self.is_published(seen, manifest):
            return self.with_copies(staging, seen)
        if self.upload:
            return self._publish(self.upload, staging, manifest, keep)
        with closing(self.new_upload()) as upload:
            return self._publish(upload, staging, manifest, keep)

    def _publish(self, upload: GenerationUpload, staging: Path, manifest: Manifest, keep: int) -> Manifest:
        for file in manifest.files:
            if not upload.has(file):
                with_modification_time(file, staging / file.path)
        tiles = [file for file in manifest.files if file.role not in SMALL]
        upload.note([file.path for file in tiles])
        upload.fill(staging, tiles)
        complete = self._in_generation(upload.name, manifest, staging)
        root = staging.with_name(f"{staging.name}.root.json")
        beside = {file.path: staging / file.path for file in manifest.files if file.role in SMALL}
        published = self.replace({**beside, ROOT: root}, complete, keep)
        root.unlink(missing_ok=True)
        self._remove_old(published)
        return self.with_copies(staging, published)

    def new_upload(self, *, copies_unread: bool = False) -> GenerationUpload:
        """What takes the tiles of a new generation, also before all of them are known."""
        return GenerationUpload(self._place, copies_unread=copies_unread)

    def before_replacing(self, seen: Manifest | None) -> None:
        """The time of grace of the published generation begins."""
        if seen and seen.generation:
            self._place.write_note(_note_of(seen))

    def _unchanged(self) -> Iterable[tuple[str, str, ManifestFile]]:
        """The published tiles that are as they were published: path in their generation, key and entry."""
        seen = self.see().manifest
        if seen is None or not seen.generation:
            return
        listed = self.entries()
        prefix = f"{seen.generation}/"
        for file in seen.files:
            if is_as_published(file.path, seen, listed.get(key := self.key_of(file.path))):
                yield file.path.removeprefix(prefix), key, file

    def _in_generation(self, name: str, manifest: Manifest, staging: Path) -> Manifest:
        """The manifest with the paths and ETags of a generation that is complete, and with its small root."""
        moved = [_moved(file, name) for file in manifest.files]
        tiles = [file for file in moved if file.role not in SMALL]
        listed = entries_with(self.store, self.key_of(name), {self.key_of(file.path) for file in tiles})
        etags = {file.path: self._etag_of(file, listed) for file in tiles}
        content = root_document(staging / ROOT, name)
        with disk_errors(staging):
            staging.with_name(f"{staging.name}.root.json").write_bytes(content)
        root = ManifestFile(ROOT, "tileset", len(content), hashlib.sha256(content).hexdigest())
        return manifest.model_copy(
            update={"files": (root, *moved), "generation": name, "published_etags": etags},
        )

    def _etag_of(self, file: ManifestFile, listed: Mapping[str, ListedObject]) -> str:
        present = listed.get(self.key_of(file.path))
        if present is None or present.size != file.size:
            raise InterruptedTransferError(
                f"{file.path} did not arrive whole in {self.store.url}. Run the same command again."
            )
        return present.etag

    def _remove_old(self, published: Manifest) -> None:
        """Delete the generations that the manifest does not refer to, after the time of grace."""
        oldest = datetime.now(UTC) - self.grace
        for key, entry in self.store.entries(self._place.notes).items():
            name = PurePosixPath(key).stem
            if name == published.generation or entry.modified > oldest:
                continue
            found = self.store.read(key, LONGEST_MANIFEST)
            note = _parsed(found.content) if found else None
            if note and note.name == name:
                listed = self.store.entries(self.key_of(name))
                ours = {self.key_of(f"{name}/{path}") for path in note.paths} & listed.keys()
                self.store.delete(sorted(ours))
                self.store.delete([key])

    @property
    def _place(self) -> GenerationPlace:
        return GenerationPlace(self.store, self.key, self._unchanged)


def _moved(file: ManifestFile, generation: str) -> ManifestFile:
    """The entry of a file in a generation; content report and picture stay beside the manifest."""
    if file.role in SMALL:
        return file
    return dataclasses.replace(file, path=f"{generation}/{file.path}", role="tile")


def _note_of(manifest: Manifest) -> Generation:
    paths = tuple(file.path for file in in_folder_form(manifest).files if file.role not in SMALL)
    return Generation(name=manifest.generation, paths=paths)


def _parsed(content: bytes) -> Generation | None:
    try:
        return Generation.model_validate_json(content)
    except ValidationError:
        return None
