"""Which tiles are on the disk: an append-only note that survives the process and never holds a link."""

import hashlib
import json
import shutil
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from blocks.disk import disk_errors
from blocks.storage.manifest import ManifestFile, read_manifest
from blocks.storage.tileset.curl_reader import FetchedTile
from blocks.storage.tileset.listing import Tile


class TileCheckpoint:
    """One JSON line per finished tile, noted by many threads and written a few times a second.

    A lock around each line would make the threads queue (it halved the speed); a crash costs the last moment.

    Args:
        path: Beside the staging folder, not in it: the folder is published as it is.
    """

    def __init__(self, path: Path) -> None:
        self._pending: deque[FetchedTile] = deque()
        self.tiles = _read(path)
        self._file = path.open("ab", buffering=0)
        self._file.write(b"\n")  # ends a line that a crash may have cut

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        self._file.close()

    def add(self, tile: FetchedTile) -> None:
        """Note that a tile is there, whole."""
        self.tiles[tile.name] = tile
        self._pending.append(tile)

    def flush(self) -> None:
        """Write down what was noted since; for one thread."""
        lines: list[str] = []
        while self._pending:
            tile = self._pending.popleft()
            lines.append(json.dumps({field: getattr(tile, field) for field in tile.__slots__}))
        if lines:
            self._file.write("".join(f"{line}\n" for line in lines).encode())

    def kept(self, tile: Tile, folder: Path) -> FetchedTile | None:
        """What is known of a tile, if it is the one wanted and its bytes in the folder are still right."""
        found = self.tiles.get(tile.name)
        if found is None or not _is_wanted(found, tile):
            return None
        try:
            with (folder / tile.name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        return found if digest == found.sha256 else None


class PublishedTiles:
    """The tiles of the export before, to be taken over where MD5 and length prove that they are the same."""

    def __init__(self, folder: Path | None) -> None:
        manifest = read_manifest(folder) if folder else None
        self._folder = folder or Path()
        self._by_digest = {(file.md5, file.size): file for file in manifest.files if file.md5} if manifest else {}

    def take(self, tile: Tile, folder: Path) -> FetchedTile | None:
        """Hard-link the same tile, if there is one, into a folder, or copy it where there are no links."""
        file = self._by_digest.get((tile.md5.hex(), tile.size)) if tile.md5 and tile.size is not None else None
        if file is None or not tile.md5:
            return None
        source, target = self._folder / file.path, folder / tile.name
        if not _is_untouched(source, file):
            return None
        with disk_errors(folder):
            target.unlink(missing_ok=True)
            _link_or_copy(source, target)
        return FetchedTile(tile.name, file.size, file.sha256, tile.etag, file.md5)


def _read(path: Path) -> dict[str, FetchedTile]:
    tiles: dict[str, FetchedTile] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return tiles
    for line in lines:
        try:
            tile = FetchedTile(**json.loads(line))
        except (ValueError, TypeError):
            continue
        tiles[tile.name] = tile
    return tiles


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def _is_wanted(found: FetchedTile, tile: Tile) -> bool:
    """Without a listing nothing is known of the tile but its name; then the host is asked."""
    if tile.size is None:
        return found.etag is not None
    digest = tile.md5.hex() if tile.md5 else None
    return tile.etag is not None and (found.size, found.etag, found.md5) == (tile.size, tile.etag, digest)


def _is_untouched(path: Path, file: ManifestFile) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (file.size, file.mtime_ns)
