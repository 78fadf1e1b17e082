"""The tiles of a generation on their way into an object store, from the first one that is there.

Nothing refers to the generation yet. What it will consist of is noted before its first tile, and only what is noted
there is ever deleted.
"""

import secrets
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from blocks.errors import ExportError
from blocks.signed_url import SignedUrl
from blocks.storage.destination.blob_copier import BlobCopier
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.web_headers import IMMUTABLE, headers_of
from blocks.storage.manifest import ManifestFile
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.tile_body import FetchedTile

_AT_ONCE = 32
_FOLDER = ".itwin-export/generations"
_OPAQUE = frozenset({".glb", ".b3dm", ".i3dm", ".pnts", ".cmpt", ".bin", ".png", ".jpg", ".jpeg", ".webp", ".ktx2"})
"""Endings of files that need not be read to know what the tileset consists of."""


class Generation(BaseModel):
    """The note of a generation: the paths in it, which its process writes."""

    model_config = ConfigDict(frozen=True)

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class GenerationPlace:
    """Where the generations of one tileset are.

    Attributes:
        store: The object store.
        key: What the keys of the tileset begin with, without a slash at its end.
        published: Finds the files of the published generation that are as they were published, with their keys.
    """

    store: ObjectStore
    key: str
    published: Callable[[], Iterable[tuple[str, str, ManifestFile]]]

    @property
    def notes(self) -> str:
        """What the keys of the notes begin with, in the folder of the iModel."""
        return f"{PurePosixPath(self.key).parent}/{_FOLDER}"

    def write_note(self, note: Generation) -> None:
        """Note what a generation consists of."""
        self.store.write(f"{self.notes}/{note.name}.json", note.model_dump_json().encode())


class GenerationUpload:
    """Uploads tiles while others are being fetched, and copies those that need not be fetched.

    Args:
        place: Where the generation will be.
        copies_unread: Tiles that the store can get without this machine may be copied without being read.

    Attributes:
        name: Of the generation.
    """

    def __init__(self, place: GenerationPlace, *, copies_unread: bool = False) -> None:
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"
        self._place = place
        self._copies_unread = copies_unread
        self._copier = BlobCopier(place.store)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload")
        self._noted = frozenset[str]()
        self._published: dict[tuple[str, str], tuple[str, ManifestFile]] | None = None
        self._there: dict[str, str] = {}
        self._waiting: dict[str, Future[None]] = {}

    def begin(self, names: Collection[str]) -> None:
        """Note what the generation will consist of; uploads of another version of the tileset end first."""
        self._settle(is_cancelled=True)
        self.note(names)
        if self._copies_unread:
            self._copier.prepare([self._key_of(name) for name in names if _is_opaque(name)])

    def note(self, names: Collection[str]) -> None:
        """Note what the generation will consist of; its time of grace begins anew."""
        self._noted |= set(names)
        self._place.write_note(Generation(name=self.name, paths=tuple(sorted(self._noted))))
        if self._published is None:
            self._published = dict(self._by_digest())

    def is_taken(self, tile: Tile) -> bool:
        """True for a tile that need not be fetched as far as is known."""
        return self._is_copyable(tile) and (not self._copier.is_refused or self._known(tile) is not None)

    def take(self, tile: Tile, link: SignedUrl) -> FetchedTile | None:
        """Have a tile copied by the store, from the generation before or from the container it is in."""
        if not tile.md5 or not self._is_copyable(tile):
            return None
        digest, key, known = tile.md5.hex(), self._key_of(tile.name), self._known(tile)
        if not (known and self._copied(known[0], key)) and not self._copier.copy(tile, link.of_blob(tile.name), key):
            return None
        taken = FetchedTile(
            tile.name, tile.size or 0, known[1].sha256 if known else "", tile.etag, digest, is_elsewhere=True
        )
        self._there[tile.name] = taken.sha256 or digest
        return taken

    def put(self, tile: FetchedTile, path: Path) -> None:
        """Start uploading a fetched tile without waiting for it; `fill` repeats an upload that failed."""
        self._waiting[tile.name] = self._pool.submit(self._send, tile.name, tile.sha256 or tile.md5 or "", path)

    def fill(self, staging: Path, tiles: Iterable[ManifestFile]) -> None:
        """Have every tile there; after the first failure nothing more is begun.

        Raises:
            ExportError: The store refuses or fails.
        """
        self._settle()
        missing = [file for file in tiles if not self.has(file)]
        tasks = [self._pool.submit(self._send, file.path, file.digest[1], staging / file.path) for file in missing]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            self._pool.shutdown(wait=True, cancel_futures=True)
            raise

    def has(self, file: ManifestFile) -> bool:
        """True if a file of that content is there already."""
        return self._there.get(file.path) == file.digest[1]

    def close(self) -> None:
        """Give up what has not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._copier.close()

    def _send(self, name: str, digest: str, path: Path) -> None:
        known = (self._published or {}).get((name, digest))
        if not (known and self._copied(known[0], self._key_of(name))):
            self._place.store.upload(self._key_of(name), path, headers_of(name, IMMUTABLE))
        self._there[name] = digest

    def _copied(self, source: str, target: str) -> bool:
        """True if the store has copied an object of its own."""
        try:
            self._place.store.copy(source, target)
        except ExportError:
            return False
        return True

    def _settle(self, *, is_cancelled: bool = False) -> None:
        """Wait for the uploads that have begun; the next step meets whatever made them fail."""
        waiting, self._waiting = self._waiting, {}
        for upload in waiting.values():
            if not (is_cancelled and upload.cancel()):
                with suppress(ExportError):
                    upload.result()

    def _is_copyable(self, tile: Tile) -> bool:
        is_known = tile.md5 is not None and tile.size is not None
        return self._copies_unread and is_known and not tile.is_encoded and _is_opaque(tile.name)

    def _known(self, tile: Tile) -> tuple[str, ManifestFile] | None:
        """The same tile in the published generation."""
        found = (self._published or {}).get((tile.name, tile.md5.hex() if tile.md5 else ""))
        return found if found and found[1].size == tile.size else None

    def _by_digest(self) -> Iterable[tuple[tuple[str, str], tuple[str, ManifestFile]]]:
        for path, key, file in self._place.published():
            for digest in filter(None, (file.sha256, file.md5)):
                yield (path, digest), (key, file)

    def _key_of(self, name: str) -> str:
        return f"{self._place.key}/{self.name}/{name}"


def _is_opaque(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _OPAQUE
