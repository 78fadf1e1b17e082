"""Small blobs to disk with obstore, called from our own threads.

obstore's *async* calls end the process with signal 6 at its exit now and then (18 of 150 runs of 300 small
reads), presumably because a thread of its runtime still lets go of Python objects while the interpreter shuts
down. Its blocking calls touch Python from the caller's thread only (0 of 150). So: blocking calls, in threads
that are joined.
"""

import hashlib
import ssl
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotModifiedError, PermissionDeniedError, PreconditionError
from obstore.exceptions import UnauthenticatedError as RefusedError
from obstore.store import HTTPStore

from blocks.itwin.errors import ContentError, ExportError, InterruptedTransferError, LinkExpiredError
from blocks.storage.disk import disk_errors
from blocks.storage.http_ranges import STALL_SECONDS, proxy_for
from blocks.storage.links import host_of
from blocks.storage.patience import BlobChangedError
from blocks.storage.tileset_listing import Tile

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig

_IN_MEMORY = 1024 * 1024
"""Bytes: larger tiles are streamed, so that 64 threads never hold more than 64 MB."""
_LONGEST_TILE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class FetchedTile:
    """A file of the tileset that is on the disk, whole; digests in hex digits."""

    name: str
    size: int
    sha256: str
    etag: str | None = None
    md5: str | None = None


class TileReader:
    """Reads the files behind one link; safe to use from many threads.

    Attributes:
        waits: Seconds until the first byte, of the latest reads.

    Plain HTTP suits container SAS URLs and CDN links alike and, unlike obstore's Azure store, lets no
    `AZURE_*` variable of the environment interfere.
    """

    def __init__(self, container_url: str, *, stall_seconds: float = STALL_SECONDS) -> None:
        base, mark, query = container_url.partition("?")
        self.waits: deque[float] = deque(maxlen=100)
        self._host = host_of(container_url)
        self._store = HTTPStore(
            f"{base.rstrip('/')}{mark}{query}",
            client_options=_client_options(container_url, stall_seconds),
            retry_config={"max_retries": 0},
        )

    def save(self, tile: Tile, path: Path, kept: FetchedTile | None = None) -> FetchedTile:
        """Fetch one file to a path; `kept` is what is there and is good if the host still has the same.

        Raises:
            BlobChangedError: The host has another file under this name, or none any more.
            LinkExpiredError: The link is refused.
            InterruptedTransferError: The bytes do not come, or not all of them.
        """
        asked_at = time.monotonic()
        try:
            result = obstore.get(self._store, tile.name, options=_condition(tile, kept))
        except NotModifiedError:
            if kept:
                return kept
            raise InterruptedTransferError(f"{tile.name}: {self._host} answers out of turn.") from None
        except (BaseError, OSError, ValueError) as fault:
            raise self._map(fault, tile) from None
        self.waits.append(time.monotonic() - asked_at)
        meta = result.meta
        _require_size(tile, meta["size"])
        digests = _Digests(tile)
        with disk_errors(path.parent):
            path.unlink(missing_ok=True)  # it may be a hard link to a published file
            with path.open("wb", buffering=0) as file:
                for piece in self._pieces(result, tile):
                    digests.update(piece)
                    file.write(piece)
        return digests.conclude(tile, meta["size"], meta["e_tag"])

    def _pieces(self, result: "GetResult", tile: Tile) -> Generator[bytes | memoryview]:
        try:
            if result.meta["size"] <= _IN_MEMORY:
                yield memoryview(result.bytes())
            else:
                yield from (memoryview(piece) for piece in result.stream(min_chunk_size=_IN_MEMORY))
        except (BaseError, OSError, ValueError) as fault:
            raise self._map(fault, tile) from None

    def _map(self, fault: Exception, tile: Tile) -> ExportError:
        """Messages of obstore hold the whole link: none of their text is passed on."""
        match fault:
            case PermissionDeniedError() | RefusedError():
                return LinkExpiredError(f"{self._host} no longer accepts the link; a fresh one is needed.")
            case PreconditionError():
                return BlobChangedError(f"{tile.name} was replaced while the tileset was read.")
            case FileNotFoundError() if tile.etag:
                return BlobChangedError(f"{tile.name} vanished while the tileset was read.")
            case FileNotFoundError():
                return ContentError(f"The tileset lacks {tile.name}: {self._host} does not have it.")
            case _:
                return InterruptedTransferError(f"{tile.name} did not come from {self._host} ({type(fault).__name__}).")


class _Digests:
    """SHA-256 always, MD5 where the listing promises one."""

    def __init__(self, tile: Tile) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if tile.md5 else None
        self._size = 0

    def update(self, piece: bytes | memoryview) -> None:
        self._size += len(piece)
        self._sha256.update(piece)
        if self._md5:
            self._md5.update(piece)

    def conclude(self, tile: Tile, announced: int, etag: str | None) -> FetchedTile:
        if self._size != announced:
            raise InterruptedTransferError(f"{tile.name} came with {self._size} of {announced} bytes.")
        if self._md5 and self._md5.digest() != tile.md5:
            raise InterruptedTransferError(f"{tile.name} came with another MD5 than its listing promises.")
        if tile.etag and etag != tile.etag:
            raise BlobChangedError(f"{tile.name} was replaced while the tileset was read.")
        return FetchedTile(
            tile.name,
            self._size,
            self._sha256.hexdigest(),
            etag,
            self._md5.hexdigest() if self._md5 else None,
        )


def _require_size(tile: Tile, size: int) -> None:
    if tile.size is not None and size != tile.size:
        raise InterruptedTransferError(f"{tile.name} is {size} bytes long; its listing says {tile.size}.")


def _condition(tile: Tile, kept: FetchedTile | None) -> "GetOptions":
    if kept and kept.etag:
        return {"if_none_match": kept.etag}
    return {"if_match": tile.etag} if tile.etag and not tile.etag.startswith("W/") else {}


def _client_options(url: str, stall_seconds: float) -> "ClientConfig":
    stall = timedelta(seconds=stall_seconds)
    options: ClientConfig = {
        "allow_http": url.startswith("http://"),
        "connect_timeout": stall,
        "read_timeout": stall,
        "timeout": _LONGEST_TILE,
    }
    if proxy := proxy_for(url):
        options["proxy_url"] = proxy
    if certificates := _certificates():
        options["root_certificate"] = certificates
    return options


def _certificates() -> bytes | None:
    """What `SSL_CERT_FILE` (or the system) trusts; obstore itself knows the system's only."""
    bundle = ssl.get_default_verify_paths().cafile
    return Path(bundle).read_bytes() if bundle else None
