"""One export in an object store: read, proven whole by one listing, and replaced so that readers meet no half of one.

Readers start at the manifest, which is written last and under the condition that nobody else has written it since it
was read. Of two processes that publish at the same time one succeeds, and the other looks again.
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json

from blocks.disk import disk_errors, replace, write_whole
from blocks.errors import ConflictError, ContentError
from blocks.storage.destination.object_store import MISSING, Condition, ListedObject, ObjectStore
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.web_headers import headers_of
from blocks.storage.file_names import MANIFEST_NAME, find_unstorable
from blocks.storage.history import KeptExport
from blocks.storage.manifest import LONGEST_MANIFEST, Manifest, ManifestFile
from blocks.storage.publish import require_match, sha256_of

_MOST_ATTEMPTS = 20
"""Processes that publish the same export at once: each attempt that fails means that another one wrote something."""
_PAUSE = 0.2
"""Longest pause in seconds before the second attempt; it grows with each."""
_SMALL = frozenset({"content", "preview"})
"""Roles of the files that stay on this machine too, for the page of the flow run and for the next comparison."""


@dataclass(frozen=True)
class SeenManifest:
    """The manifest as it was read, None if there is none that can be read, and the condition that it still is so."""

    manifest: Manifest | None
    condition: Condition


@dataclass(frozen=True)
class StoredExport:
    """The objects of one export.

    Attributes:
        store: Where they are.
        key: What their keys begin with, without a slash at its end.
        folder: Where copies of the manifest and of small files are on this machine.
    """

    store: ObjectStore
    key: str
    folder: Path

    def read_manifest(self) -> Manifest | None:
        """The published manifest, of which the folder gets a copy; None if there is none.

        Raises:
            DiskError: The disk refuses.
        """
        manifest = self.see().manifest
        self._copy_manifest(manifest)
        return manifest

    def see(self) -> SeenManifest:
        """The published manifest, by one request."""
        found = self.store.read(self._key_of(MANIFEST_NAME), LONGEST_MANIFEST)
        if found is None:
            return SeenManifest(None, MISSING)
        return SeenManifest(_parsed(found.content), found.version)

    def verify(self, kept: KeptExport, *, full: bool = False) -> None:
        """Prove by one listing that the objects are those that were published: size and ETag; `full` reads them.

        Raises:
            ContentError: One is missing or different; the message names the first one.
        """
        self._verify(kept.manifest, full=full)

    def _verify(self, manifest: Manifest, *, full: bool = False) -> None:
        listed = self._list()
        for file in manifest.files:
            fault = _fault(file, manifest, listed.get(self._key_of(file.path)))
            if fault is None and full and self.store.sha256_of(self._key_of(file.path)) != file.sha256:
                fault = "is not the file that was exported"
            if fault:
                raise ContentError(f"{file.path} {fault} in {self._url}. Export it again.")

    def publish_files(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:  # noqa: ARG002  the store has none
        """Publish staged files and then their manifest; returns the manifest as it is published.

        Where another process has published the very same meanwhile, that is left as it is.

        Raises:
            ContentError: The files and the manifest do not match.
            ConflictError: Other processes keep publishing there.
        """
        require_match({file.path: staging / file.path for file in manifest.files}, manifest)
        uploaded = dict[str, str]()
        for attempt in range(_MOST_ATTEMPTS):
            time.sleep(attempt * random.uniform(0, _PAUSE))  # noqa: S311  no secret
            seen = self.see()
            if seen.manifest and _is_same_export(seen.manifest, manifest) and self._is_whole(seen.manifest):
                return self._with_copies(staging, seen.manifest)
            self._upload(staging, manifest.files, uploaded)
            complete = manifest.model_copy(update={"published_etags": dict(uploaded)})
            with suppress(ChangedMeanwhileError):
                self._write_manifest(complete, seen.condition)
                if self._is_whole(complete):
                    self._remove_unlisted(seen.manifest, complete)
                    return self._with_copies(staging, complete)
        raise ConflictError(f"Other processes keep publishing in {self._url}. Run the same command again.")

    def replace_manifest(self, kept: KeptExport, staging_root: Path, now: Manifest) -> bool:  # noqa: ARG002  of folders
        """Replace the manifest of objects that stay as they are; false if another process has published meanwhile."""
        seen = self.see()
        if seen.manifest != kept.manifest:
            return False
        try:
            self._write_manifest(now, seen.condition)
        except ChangedMeanwhileError:
            return False
        return True

    def fetch(self, files: Iterable[ManifestFile]) -> None:
        """Have files of the export in the folder on this machine; those that are there with the same content stay.

        Raises:
            ContentError: An object is missing.
            DiskError: The disk refuses.
        """
        for file in files:
            target = self.folder / file.path
            if target.is_file() and target.stat().st_size == file.size and sha256_of(target) == file.sha256:
                continue
            with disk_errors(self.folder):
                target.parent.mkdir(parents=True, exist_ok=True)
                self.store.download(self._key_of(file.path), target)

    def _upload(self, staging: Path, files: Sequence[ManifestFile], uploaded: dict[str, str]) -> None:
        """Upload what is not there as we uploaded it; `uploaded` holds ETags by path."""
        listed = self._list() if uploaded else dict[str, ListedObject]()
        for file in files:
            present = listed.get(self._key_of(file.path))
            if present is None or present.etag != uploaded.get(file.path):
                version = self.store.upload(self._key_of(file.path), staging / file.path, headers_of(file.path))
                uploaded[file.path] = version.etag

    def _write_manifest(self, manifest: Manifest, condition: Condition) -> None:
        self.store.write(self._key_of(MANIFEST_NAME), to_json(manifest, indent=1), condition=condition)

    def _is_whole(self, manifest: Manifest) -> bool:
        try:
            self._verify(manifest)
        except ContentError:
            return False
        return True

    def _remove_unlisted(self, before: Manifest | None, now: Manifest) -> None:
        """Delete what only the manifest before lists, if it still is what that published."""
        gone = {file.path for file in before.files} - {file.path for file in now.files} if before else set[str]()
        if not before or not gone:
            return
        listed = self._list()
        ours = {path for path in gone if _is_as_published(path, before, listed.get(self._key_of(path)))}
        self.store.delete(self._key_of(path) for path in sorted(ours))

    def _with_copies(self, staging: Path, manifest: Manifest) -> Manifest:
        """The manifest, after copies of it and of the small files were kept in the folder."""
        self._copy_manifest(manifest)
        for file in manifest.files:
            if file.role in _SMALL:
                with disk_errors(self.folder):
                    replace(staging / file.path, self.folder / file.path)
        return manifest

    def _copy_manifest(self, manifest: Manifest | None) -> None:
        with disk_errors(self.folder):
            if manifest is None:
                (self.folder / MANIFEST_NAME).unlink(missing_ok=True)
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / MANIFEST_NAME, to_json(manifest, indent=1))

    def _list(self) -> Mapping[str, ListedObject]:
        return self.store.entries(self.key)

    def _key_of(self, path: str) -> str:
        return f"{self.key}/{path}"

    @property
    def _url(self) -> str:
        return f"{self.store.url}/{self.key}"


def _parsed(content: bytes) -> Manifest | None:
    """A manifest that others may have written; None if it is invalid or names what cannot be a file of an export."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError:
        return None
    return manifest if find_unstorable(file.path for file in manifest.files) is None else None


def _is_same_export(one: Manifest, other: Manifest) -> bool:
    """True if both hold the same files of the same run."""
    files = [{(file.path, file.sha256) for file in manifest.files} for manifest in (one, other)]
    return (one.run_id, one.changeset_id, one.options) == (other.run_id, other.changeset_id, other.options) and (
        files[0] == files[1]
    )


def _is_as_published(path: str, manifest: Manifest, present: ListedObject | None) -> bool:
    return present is not None and present.etag == manifest.published_etags.get(path)


def _fault(file: ManifestFile, manifest: Manifest, present: ListedObject | None) -> str | None:
    if present is None:
        return "is missing"
    if present.size == file.size and _is_as_published(file.path, manifest, present):
        return None
    return "is not the object that was published"
