"""The common tileset of an iTwin in an object store, beside the tilesets it refers to."""

import time
from dataclasses import dataclass
from pathlib import Path

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.errors import ContentError
from blocks.foreign_data import Json
from blocks.storage.destination.object_store import MISSING, ObjectStore
from blocks.storage.destination.published_site import BEING_REPLACED, REPLACING_SECONDS, SeenSite
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.manifest import Manifest
from blocks.storage.site.member_tileset import FOLDER, LeftOutError, PublishedTileset, parsed_tileset, require_published
from blocks.storage.site.site_file import not_ours_error, parsed_site, written_site
from blocks.storage.tileset.references import ROOT

_PAUSE = 0.2


@dataclass(frozen=True)
class StoredSite:
    """A common tileset in an object store.

    Attributes:
        store: Where it is.
        itwin_id: What its key begins with.
        replacing_seconds: Longest wait for an iModel whose tileset is being replaced.
    """

    store: ObjectStore
    itwin_id: str
    replacing_seconds: float = REPLACING_SECONDS

    @property
    def output(self) -> str:
        """The address of the exports."""
        return self.store.url

    @property
    def _key(self) -> str:
        return f"{self.itwin_id}/{ROOT}"

    def see(self) -> SeenSite:
        """The common tileset that is there, by one request.

        Raises:
            InputError: A tileset lies there that this tool has not made.
        """
        found = self.store.read(self._key, LONGEST_TILESET_JSON)
        if found is None:
            return SeenSite(None, MISSING)
        file = parsed_site(found.content)
        if file is None:
            raise not_ours_error(f"{self.store.url}/{self._key}")
        return SeenSite(file, found.version)

    def read_tileset(self, imodel_id: str) -> PublishedTileset:
        """Read manifest and root, and prove by a listing that every tile is there as it was published.

        Publishers replace the root before the manifest; a tileset in between is looked at again for a while.

        Raises:
            LeftOutError: There is none, it is not what was exported, or it is being replaced.
        """
        tileset = self._tileset(imodel_id)
        deadline = time.monotonic() + self.replacing_seconds
        while True:
            seen = tileset.see()
            is_rejected = seen.manifest is None and bool(tileset.read_rejected())
            manifest = require_published(seen.manifest, imodel_id, is_rejected=is_rejected)
            try:
                tileset.require_whole(manifest)
                document = parsed_tileset(_root_of(tileset, manifest), imodel_id)
                return PublishedTileset(manifest, document, seen.condition)
            except ContentError as error:
                if _has_root(tileset, manifest):
                    raise LeftOutError(str(error)) from None
            if time.monotonic() > deadline:
                raise LeftOutError(f"{BEING_REPLACED} If nobody replaces it: itwin-export mesh {imodel_id}")
            time.sleep(_PAUSE)

    def is_replaced(self, imodel_id: str, tileset: PublishedTileset) -> bool:
        """True if another manifest than that of this tileset, or none, is in its place."""
        return self._tileset(imodel_id).see().condition != tileset.state

    def write(self, document: Json, seen: SeenSite) -> None:
        """Write the common tileset under the condition that nobody has written it since it was seen.

        Raises:
            ChangedMeanwhileError: Somebody has.
        """
        self.store.write(self._key, written_site(document), condition=seen.condition)

    def remove(self, seen: SeenSite) -> None:
        """Delete the common tileset if it still is the one that was seen.

        Raises:
            ChangedMeanwhileError: Another process has written it.
        """
        if self.see().condition != seen.condition:
            raise ChangedMeanwhileError(f"{self.store.url}/{self._key} was written by another process meanwhile.")
        if seen.file:
            self.store.delete([self._key])

    def _tileset(self, imodel_id: str) -> StoredTileset:
        return StoredTileset(self.store, f"{imodel_id}/{FOLDER}", Path())


def _root_of(tileset: StoredTileset, manifest: Manifest) -> bytes:
    """The root that a manifest lists.

    Raises:
        ContentError: Another one is in its place, or none.
    """
    root = tileset.store.read(tileset.key_of(ROOT), LONGEST_TILESET_JSON)
    if root is None or root.version.etag != manifest.published_etags.get(ROOT):
        raise ContentError(f"{ROOT} is not the object that was published in {tileset.store.url}/{tileset.key}.")
    return root.content


def _has_root(tileset: StoredTileset, manifest: Manifest) -> bool:
    try:
        _root_of(tileset, manifest)
    except ContentError:
        return False
    return True
