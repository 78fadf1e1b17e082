"""One pass over the missing tiles of a tileset, in many threads."""

import math
import threading
import time
from collections.abc import Callable, Collection

from blocks.errors import ExportError, InterruptedTransferError
from blocks.signed_url import SignedUrl
from blocks.storage.retry import ThrottledError
from blocks.storage.tileset.curl_reader import DownloaderPool, TileDownloader
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.tile_body import UndecodableTileError

WORKERS = 64
"""Maximum number of threads; useful at a response time of 44 ms."""
EXPIRY_MARGIN = 60.0
"""Seconds before its expiry from which a link is no longer used."""

_Save = Callable[[TileDownloader, SignedUrl, Tile], None]


class DownloadPass:
    """One pass over the missing tiles with one link; threads take tiles until one of them says stop.

    Attributes:
        fault: What ended it, or the last tile that did not come.
        interrupted: Names of the tiles that did not come, because of the host or the connection.
    """

    def __init__(self, readers: DownloaderPool, url: SignedUrl, tiles: Collection[Tile], save: _Save) -> None:
        self.stop = threading.Event()
        self.fault: ExportError | None = None
        self.interrupted: list[str] = []
        self._readers = readers
        self._url = url
        self._tiles = iter(tiles)
        self._save = save
        self._lock = threading.Lock()
        self._ends_at = _ends_at(url)
        self._tile_failures = 0

    def work(self) -> None:
        """Take tile after tile; for one thread."""
        with self._readers.one() as reader:
            while not self.stop.is_set() and time.time() < self._ends_at:
                with self._lock:
                    tile = next(self._tiles, None)
                if tile is None:
                    return
                try:
                    self._save(reader, self._url, tile)
                    self._tile_failures = 0
                    self._readers.note(reader.wait)
                except ExportError as error:
                    self._note(error, tile)

    def _note(self, error: ExportError, tile: Tile) -> None:
        """Record a failed tile, which is retried in the next pass; a failing host or link ends this pass."""
        with self._lock:
            if not self.stop.is_set():
                self.fault = error
            if isinstance(error, InterruptedTransferError):
                self.interrupted.append(tile.name)
            self._tile_failures += 1
            if not _is_tile_specific(error) or self._tile_failures >= WORKERS:
                self.stop.set()


def _is_tile_specific(error: ExportError) -> bool:
    """True if other tiles may still succeed."""
    if isinstance(error, ThrottledError):
        return not error.retry_after
    return type(error) in {InterruptedTransferError, UndecodableTileError}


def _ends_at(url: SignedUrl) -> float:
    """When to stop using a link; never at once, for the clock here may be wrong."""
    ends_at = url.expiry.timestamp() - EXPIRY_MARGIN if url.expiry else math.inf
    return ends_at if ends_at > time.time() else math.inf
