"""Checkpoint of a tileset download: an append-only file of the finished tiles; it contains no link."""

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from blocks.disk import disk_errors
from blocks.foreign_data import read_etag
from blocks.shared_folder import open_regular, open_unlinked, read_bounded, stat_inside
from blocks.storage.manifest import ManifestFile, read_manifest
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.tile_body import FetchedTile, notes_sha256

_PIECE = 1024 * 1024
LONGEST_CHECKPOINT = 256 * 1024 * 1024
_TILE = TypeAdapter(FetchedTile)
_NOTED = ("name", "size", "sha256", "etag", "md5", "stored_size")
"""Of a tile on the disk."""


class TileCheckpoint:
    """One JSON line per finished tile, recorded by many threads and written a few times a second.

    A lock around each line would make the threads queue (it halved the speed); a crash costs the last moment.

    Args:
        path: The file, outside the staging folder, which is published as a whole.
        with_sha256: Note the SHA-256 of tiles whose MD5 is promised, too.
    """

    def __init__(self, path: Path, *, with_sha256: bool = False) -> None:
        self._with_sha256 = with_sha256
        self._pending: deque[FetchedTile] = deque()
        self.tiles = _read(path)
        self._file = open(path, "ab", buffering=0, opener=open_unlinked)  # noqa: SIM115  closed on exit
        self._file.write(b"\n")  # ends a line that a crash may have cut

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self._file.close()

    def add(self, tile: FetchedTile) -> None:
        """Record a complete tile."""
        self.tiles[tile.name] = tile
        self._pending.append(tile)

    def flush(self) -> None:
        """Write the tiles recorded since the last call; not thread-safe."""
        lines: list[str] = []
        while self._pending:
            tile = self._pending.popleft()
            lines.append(json.dumps({field: getattr(tile, field) for field in _NOTED}))
        if lines:
            self._file.write("".join(f"{line}\n" for line in lines).encode())

    def kept(self, tile: Tile, folder: Path) -> FetchedTile | None:
        """The recorded tile, if it is the same version and its file in the folder is unchanged; otherwise None."""
        found = self.tiles.get(tile.name)
        if found is None or not _is_wanted(found, tile):
            return None
        noted = found.digests
        asked = {"sha256"} if notes_sha256(tile, with_sha256=self._with_sha256) else set[str]()
        digests = _digests(folder, tile.name, noted.keys() | asked)
        if not noted or any(digests.get(algorithm) != digest for algorithm, digest in noted.items()):
            return None
        return replace(found, sha256=digests.get("sha256", ""))


class PublishedTiles:
    """The tiles of the previous export, which are reused if their content is the same.

    Args:
        folder: Where it is published; None if there is none.
        with_sha256: Note the SHA-256 of tiles whose MD5 is promised, too.
    """

    def __init__(self, folder: Path | None, *, with_sha256: bool = False) -> None:
        self._with_sha256 = with_sha256
        manifest = read_manifest(folder) if folder else None
        self._folder = folder or Path()
        files = manifest.files if manifest else ()
        self._by_digest = {(file.md5, file.size): file for file in files if file.md5}
        self._by_name = {file.path: file for file in files}

    def take(self, tile: Tile, folder: Path) -> FetchedTile | None:
        """Hard-link the same tile, if there is one, into a folder, or copy it where there are no links.

        The file is read: it may have changed on the disk while its size and time stamp stayed.
        """
        file = self._by_digest.get((tile.md5.hex(), tile.size)) if tile.md5 and tile.size is not None else None
        if file is None or not tile.md5:
            return None
        algorithms = {"md5", "sha256"} if notes_sha256(tile, with_sha256=self._with_sha256) else {"md5"}
        digests = self._read(file, algorithms)
        if digests.get("md5") != tile.md5.hex():
            return None
        with disk_errors(folder):
            _link_or_copy(self._folder / file.path, folder / tile.name)
        return FetchedTile(tile.name, file.size, digests.get("sha256", ""), tile.etag, digests["md5"])

    def share(self, fetched: FetchedTile, folder: Path) -> None:
        """Put the old file in the place of a fetched one with the same bytes: on the disk they are there once."""
        file, digests = self._by_name.get(fetched.name), fetched.digests
        if file is None or file.size != fetched.size or file.differs_from(digests):
            return
        if digests and self._read(file, digests.keys()) == digests:
            with disk_errors(folder):
                _link_or_copy(self._folder / file.path, folder / fetched.name)

    def _read(self, file: ManifestFile, algorithms: Collection[str]) -> dict[str, str]:
        """Digests of a published tile as it is on the disk now; none if it was touched since."""
        return _digests(self._folder, file.path, algorithms) if _is_untouched(self._folder, file) else {}


def _read(path: Path) -> dict[str, FetchedTile]:
    """The tiles of a checkpoint; lines that are invalid are ignored, a file that cannot be one is deleted."""
    tiles: dict[str, FetchedTile] = {}
    try:
        lines = read_bounded(path, LONGEST_CHECKPOINT).split(b"\n")
    except FileNotFoundError:
        return tiles
    except OSError:
        path.unlink()
        return tiles
    for line in lines:
        try:
            tile = _TILE.validate_json(line, strict=True)
        except ValidationError:
            continue
        if _is_header_value(tile.etag):
            tiles[tile.name] = tile
    return tiles


def _is_header_value(etag: str | None) -> bool:
    """True for what may be sent as `If-None-Match`."""
    return etag is None or read_etag(etag) is not None


def _digests(folder: Path, name: str, algorithms: Collection[str]) -> dict[str, str]:
    """Digests of the file on the disk by the name of the hash; empty if the file cannot be read."""
    digests = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
    try:
        stat_inside(folder, name)
        with open_regular(folder / name) as file:
            while piece := file.read(_PIECE):
                for digest in digests.values():
                    digest.update(piece)
    except OSError:
        return {}
    return {algorithm: digest.hexdigest() for algorithm, digest in digests.items()}


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _is_wanted(found: FetchedTile, tile: Tile) -> bool:
    """True if the recorded tile is the listed one; without a listing, if a conditional request can tell."""
    if tile.size is None:
        return found.etag is not None
    digest = tile.md5.hex() if tile.md5 else None
    size = found.size if found.stored_size is None else found.stored_size
    return tile.etag is not None and (size, found.etag, found.md5) == (tile.size, tile.etag, digest)


def _is_untouched(folder: Path, file: ManifestFile) -> bool:
    try:
        state = stat_inside(folder, file.path)
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (file.size, file.mtime_ns)
