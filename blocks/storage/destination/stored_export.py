"""One export in an object store: read, proven whole by one listing, and replaced so that readers meet no half of one.

Readers start at the manifest, which is written last and under the condition that nobody else has written it since it
was read. Of two processes that publish at the same time one succeeds, and the other looks again.
"""

import dataclasses
import random
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic_core import to_json

from blocks.disk import disk_errors, replace, write_whole
from blocks.errors import ConflictError, ContentError
from blocks.storage.content_file import is_report, replace_reports
from blocks.storage.destination.file_upload import FileUploads
from blocks.storage.destination.late_listing import entries_with
from blocks.storage.destination.object_store import MISSING, Condition, ListedObject, ObjectStore
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.stored_history import keep_copy, prune, remove_kept
from blocks.storage.destination.stored_manifest import (
    fault_of,
    identity_of,
    in_folder_form,
    is_as_published,
    is_in_generation,
    parsed_manifest,
)
from blocks.storage.destination.stored_rejected import upload_aside
from blocks.storage.destination.web_headers import headers_of
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.history import HISTORY, REJECTED, KeptExport, remove_export
from blocks.storage.manifest import LONGEST_MANIFEST, Manifest, ManifestFile, with_modification_time
from blocks.storage.publish import digest_of, require_match

_MOST_ATTEMPTS = 20
"""Processes that publish the same export at once: each attempt that fails means that another one wrote something."""
_PAUSE = 0.2
"""Longest pause in seconds before the second attempt; it grows with each."""
_FETCHED_AT_ONCE = 16
SMALL = frozenset({"content", "preview"})
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
        files: What has taken files already while they were downloaded.
    """

    store: ObjectStore
    key: str
    folder: Path
    files: FileUploads | None = field(default=None, kw_only=True)

    def read_manifest(self) -> Manifest | None:
        """The published manifest, of which the folder gets a copy; None if there is none.

        Raises:
            DiskError: The disk refuses.
        """
        manifest = self.see().manifest
        self._copy_manifest(manifest and in_folder_form(manifest))
        return manifest

    def read_history(self) -> list[KeptExport]:
        """The exports in the history, the newest first; one request for each."""
        return self._read_kept(HISTORY)

    def read_rejected(self) -> list[KeptExport]:
        """The exports that acceptance rules rejected, the newest first; one request for each."""
        return self._read_kept(REJECTED)

    def _read_kept(self, name: str) -> list[KeptExport]:
        prefix = self.key_of(name)
        places = [self.at(self.folder / name / key.rpartition("/")[2]) for key in self.store.folders(prefix)]
        kept = [KeptExport(place.folder, found) for place in places if (found := place.see().manifest) is not None]
        return sorted(kept, key=lambda export: export.manifest.created_at, reverse=True)

    def at(self, folder: Path) -> Self:
        """This export, or the one below it whose copies would be in another folder."""
        if not folder.is_relative_to(self.folder) or folder == self.folder:
            return self
        key = self.key_of(folder.relative_to(self.folder).as_posix())
        return dataclasses.replace(self, key=key, folder=folder, files=None)  # what those took is for this key

    def see(self) -> SeenManifest:
        """The published manifest, by one request."""
        found = self.store.read(self.key_of(MANIFEST_NAME), LONGEST_MANIFEST)
        if found is None:
            return SeenManifest(None, MISSING)
        return SeenManifest(parsed_manifest(found.content), found.version)

    def verify(self, kept: KeptExport, *, full: bool = False) -> None:
        """Prove by one listing that the objects are those that were published: size and ETag; `full` reads them.

        Raises:
            ContentError: One is missing or different; the message names the first one.
        """
        self.at(kept.folder).require_whole(kept.manifest, full=full)  # the export itself, or one in its history

    def require_whole(self, manifest: Manifest, *, full: bool = False) -> None:
        """Prove by one listing that every object of a manifest has the size and ETag it says; `full` reads them.

        Raises:
            ContentError: One is missing or different.
        """
        listed = self.entries()
        for file in manifest.files:
            fault = fault_of(file, manifest, listed.get(self.key_of(file.path)))
            algorithm, digest = file.digest
            if fault is None and full and self.store.digest_of(self.key_of(file.path), algorithm) != digest:
                fault = "is not the file that was exported"
            if fault:
                raise ContentError(f"{file.path} {fault} in {self._url}. Export it again.")

    def publish(self, staging: Path, manifest: Manifest, *, keep: int, lock: Path) -> Manifest:  # noqa: ARG002  of folders
        """Publish staged files and then their manifest; returns the manifest as it is published.

        Where another process has published the very same meanwhile, that is left as it is.

        Raises:
            ContentError: The files and the manifest do not match.
            ConflictError: Other processes keep publishing there.
        """
        sources = {file.path: staging / file.path for file in manifest.files}
        require_match(sources, manifest)
        draft = manifest.model_copy(update={"published_etags": {}})
        return self.with_copies(staging, self.replace(sources, draft, keep))

    def put_aside(self, staging: Path, manifest: Manifest, *, lock: Path) -> KeptExport:  # noqa: ARG002  of folders
        """Upload a fetched export among the rejected ones; readers see no difference.

        Raises:
            ContentError: The files and the manifest do not match.
            ConflictError: Other processes keep publishing there.
        """
        for file in manifest.files:
            with_modification_time(file, staging / file.path)
        return upload_aside(self, staging, manifest)

    def remove(self, kept: KeptExport) -> None:
        """Delete one of the rejected exports, and its copies on this machine."""
        remove_kept(self, kept)
        remove_export(kept)

    def write_reports(self, manifest: Manifest, reports: Mapping[str, bytes]) -> Manifest:
        """Write reports beside the files of an export, in place of earlier ones; returns its manifest with them."""
        earlier = {file.path for file in manifest.files if is_report(file)}
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        files = replace_reports(self.folder, manifest.files, reports)
        etags = {path: etag for path, etag in manifest.published_etags.items() if path not in earlier}
        for name, content in reports.items():
            etags[name] = self.store.write(self.key_of(name), content).etag
        self.store.delete(self.key_of(path) for path in sorted(earlier - reports.keys()))
        return manifest.model_copy(update={"files": files, "published_etags": etags})

    def replace(self, sources: Mapping[str, Path], manifest: Manifest, keep: int) -> Manifest:
        """Upload files by their paths in the export, then replace the manifest; returns it as it is published.

        Args:
            sources: The files that are replaced.
            manifest: Has the ETags of those that lie there already.
            keep: How many earlier exports stay in the history; with 0 the history stays as it is.

        Raises:
            ConflictError: Other processes keep publishing there.
        """
        uploaded = dict[str, str]()
        for attempt in range(_MOST_ATTEMPTS):
            time.sleep(attempt * random.uniform(0, _PAUSE))  # noqa: S311  no secret
            seen = self.see()
            if seen.manifest and self.is_published(seen.manifest, manifest):
                return seen.manifest
            if keep and seen.manifest:
                keep_copy(self, seen.manifest)
            self.before_replacing(seen.manifest)
            self._upload(sources, uploaded)
            complete = manifest.model_copy(update={"published_etags": {**manifest.published_etags, **uploaded}})
            with suppress(ChangedMeanwhileError):
                self.write_manifest(complete, seen.condition)
                if self._has_objects_of(complete):
                    self._remove_unlisted(seen.manifest, complete)
                    if keep:
                        prune(self, keep)
                    return complete
        raise ConflictError(f"Other processes keep publishing in {self._url}. Run the same command again.")

    def is_published(self, seen: Manifest, manifest: Manifest) -> bool:
        """True if the published export has the same files of the same run, and is whole."""
        return identity_of(seen) == identity_of(manifest) and self.is_whole(seen)

    def before_replacing(self, seen: Manifest | None) -> None:
        """Called before the files that readers start at are replaced."""

    def replace_manifest(self, kept: KeptExport, staging_root: Path, now: Manifest) -> bool:  # noqa: ARG002  of folders
        """Replace the manifest of objects that stay as they are; false if another process has published meanwhile."""
        place = self.at(kept.folder)
        seen = place.see()
        if seen.manifest != kept.manifest:
            return False
        try:
            place.write_manifest(now, seen.condition)
        except ChangedMeanwhileError:
            return False
        return True

    def fetch(self, files: Iterable[ManifestFile]) -> None:
        """Have files of the export in the folder on this machine; those that are there with the same content stay.

        Raises:
            ContentError: An object is missing, or is not what was exported.
            DiskError: The disk refuses.
        """
        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            list(pool.map(self._fetch, files))

    def _fetch(self, file: ManifestFile) -> None:
        algorithm, expected = file.digest
        target = self.folder / file.path
        if target.is_file() and target.stat().st_size == file.size and digest_of(target, algorithm) == expected:
            return
        with disk_errors(self.folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = self.store.download(self.key_of(file.path), target, algorithm)
        if digest != expected:
            raise ContentError(f"{file.path} is not the file that was exported in {self._url}. Export it again.")

    def _upload(self, sources: Mapping[str, Path], uploaded: dict[str, str]) -> None:
        """Upload what is not there as we uploaded it; `uploaded` holds ETags by path."""
        listed = self.entries() if uploaded else dict[str, ListedObject]()
        for path, source in sources.items():
            present = listed.get(self.key_of(path))
            if present is None or present.etag != uploaded.get(path):
                version = self.files.commit(source) if self.files else None
                uploaded[path] = (version or self.store.upload(self.key_of(path), source, headers_of(path))).etag

    def new_uploads(self) -> FileUploads:
        """What takes files while they are downloaded."""
        return FileUploads(self.store, self.key_of)

    def remove_manifest(self) -> None:
        """Delete the manifest, the last of the objects of an export."""
        self.store.delete([self.key_of(MANIFEST_NAME)])

    def write_manifest(self, manifest: Manifest, condition: Condition) -> None:
        """Write the manifest.

        Raises:
            ChangedMeanwhileError: The condition does not hold.
        """
        self.store.write(self.key_of(MANIFEST_NAME), to_json(manifest, indent=1), condition=condition)

    def _has_objects_of(self, manifest: Manifest) -> bool:
        """True if each object of a new manifest, but for its generation, has the size and ETag that the manifest says.

        The generation was listed before, and no other process writes there.
        """
        files = {self.key_of(file.path): file for file in manifest.files if not is_in_generation(file, manifest)}
        listed = entries_with(self.store, self.key, set(files), is_flat=bool(manifest.generation))
        return not any(fault_of(file, manifest, listed.get(key)) for key, file in files.items())

    def is_whole(self, manifest: Manifest) -> bool:
        """True if every object that a manifest lists is there as it was published."""
        try:
            self.require_whole(manifest)
        except ContentError:
            return False
        return True

    def _remove_unlisted(self, before: Manifest | None, now: Manifest) -> None:
        """Delete what only the manifest before lists, if it still is what that published."""
        if before is None:
            return
        gone = {file.path for file in before.files if not is_in_generation(file, before)}
        gone -= {file.path for file in now.files}
        if not gone:
            return
        listed = self.entries()
        ours = {path for path in gone if is_as_published(path, before, listed.get(self.key_of(path)))}
        self.store.delete(self.key_of(path) for path in sorted(ours))

    def with_copies(self, staging: Path, manifest: Manifest) -> Manifest:
        """The manifest, after copies of it and of the small files were kept in the folder."""
        self._copy_manifest(in_folder_form(manifest))
        for file in manifest.files:
            if file.role in SMALL and (staging / file.path).is_file():
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

    def entries(self) -> Mapping[str, ListedObject]:
        """Everything below the key, by one listing."""
        return self.store.entries(self.key)

    def key_of(self, path: str) -> str:
        """The key of a file by its path in the export."""
        return f"{self.key}/{path}".lstrip("/")

    @property
    def _url(self) -> str:
        return f"{self.store.url}/{self.key}"
