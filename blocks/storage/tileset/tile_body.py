"""The body of a tile on its way to the disk: hashed, checked against the listing, decoded and written."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path
from typing import Self

from blocks.content_encoding import DecodeError, Decoder, require_decodable
from blocks.errors import ContentError, ExportError, InterruptedTransferError
from blocks.storage.retry import BlobChangedError
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.references import ROOT

BUFFER = 512 * 1024
"""Bytes gathered before they are hashed and written: 64 threads hold 32 MB, and most tiles fit in."""


@dataclass(frozen=True, slots=True)
class FetchedTile:
    """A file of the tileset that is on the disk, whole, or where it will be published; digests in hex digits.

    Attributes:
        sha256: Empty if its bytes were not read, or have the MD5 that the listing promises and it is not to be noted.
        md5: Of the bytes as the host stores them.
        stored_size: How many those are, where they are compressed (Content-Encoding).
        is_elsewhere: It is not on the disk.
    """

    name: str
    size: int
    sha256: str
    etag: str | None = None
    md5: str | None = None
    stored_size: int | None = None
    is_elsewhere: bool = False

    @property
    def digests(self) -> dict[str, str]:
        """What is known of the bytes on the disk, by the name of the hash; that of compressed bytes is not."""
        known = {"sha256": self.sha256, "md5": "" if self.stored_size is not None else self.md5 or ""}
        return {algorithm: digest for algorithm, digest in known.items() if digest}


def notes_sha256(tile: Tile, *, with_sha256: bool) -> bool:
    """True if the SHA-256 of a tile is noted; where the listing promises an MD5, that is what its content is told by.

    `tileset.json` always has one, for reports name it.
    """
    return with_sha256 or not tile.md5 or tile.name == ROOT


class UndecodableTileError(InterruptedTransferError):
    """Bytes that do not follow their Content-Encoding; `fingerprint` is equal where the same bytes came again."""

    def __init__(self, message: str, fingerprint: tuple[int, str]) -> None:
        super().__init__(message)
        self.fingerprint = fingerprint


class UndecodableTiles:
    """Tells damage on the way, which differs from one answer to the next, from what the host has."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, tuple[int, str]] = {}

    def judge(self, name: str, error: UndecodableTileError) -> ExportError:
        """The error to raise: a `ContentError`, which is not retried, if the same bytes arrived twice; else `error`."""
        before = self._fingerprints.get(name)
        self._fingerprints[name] = error.fingerprint
        if before == error.fingerprint:
            return ContentError(f"{error} The same bytes came twice, so that is how the host stores them.")
        return error


class TileBody:
    """What comes of a tile: hashed, checked, decoded and written; a large one is written as it comes.

    Args:
        folder: Where the tiles go.
        encoding: Returns the Content-Encoding of the answer.
        with_sha256: Note the SHA-256 of tiles whose MD5 is promised, too.

    Attributes:
        fault: Why no more was taken.
    """

    def __init__(self, folder: Path, encoding: Callable[[], str | None], *, with_sha256: bool) -> None:
        self.fault: OSError | ExportError | None = None
        self._folder = str(folder)
        self._encoding = encoding
        self._with_sha256 = with_sha256
        self._decoder: Decoder | None = None
        self._buffer = BytesIO(bytes(BUFFER))
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def write_callback(self, tile: Tile) -> Callable[[bytes], int | None]:
        """Get ready for a tile; returns what libcurl is to call with each piece of it."""
        self.fault = None
        self._tile = tile
        self._come = self._size = 0
        self._decoder = None
        self._sha256 = hashlib.sha256() if notes_sha256(tile, with_sha256=self._with_sha256) else None
        self._md5 = hashlib.md5(usedforsecurity=False) if tile.md5 else None
        self._buffer.seek(0)
        fits_in = tile.size is not None and tile.size <= BUFFER
        return self._buffer.write if fits_in else self._take

    def finish(self, etag: str | None) -> FetchedTile:
        """Check what has come against the listing before the last of it is written."""
        self._hash()
        tile, size = self._tile, self._come
        if tile.size is not None and size != tile.size:
            raise InterruptedTransferError(f"{tile.name} is {size} bytes long; its listing says {tile.size}.")
        if self._md5 and self._md5.digest() != tile.md5:
            raise InterruptedTransferError(f"{tile.name} came with another MD5 than its listing promises.")
        if tile.etag and etag != tile.etag:
            raise BlobChangedError(f"{tile.name} was replaced while the tileset was read.")
        self._write()
        if self._decoder:
            self._decoded(self._decoder.finish)
        md5 = self._md5.hexdigest() if self._md5 else None
        stored_size = self._come if self._decoder else None
        return FetchedTile(tile.name, self._size, self._hexdigest, etag, md5, stored_size)

    @property
    def _hexdigest(self) -> str:
        return self._sha256.hexdigest() if self._sha256 else ""

    def _take(self, piece: bytes) -> int | None:
        """Libcurl ends the transfer when told of another length than that of the piece."""
        if self._buffer.tell() + len(piece) > BUFFER:
            self._hash()
            try:
                self._write()
            except (OSError, ExportError) as fault:
                self.fault = fault
                return -1
        return self._buffer.write(piece)

    def _hash(self) -> None:
        with self._buffer.getbuffer() as whole, whole[: self._buffer.tell()] as come:
            self._come += len(come)
            if self._md5:
                self._md5.update(come)

    def _write(self) -> None:
        self._file = self._file or self._begin()
        with self._buffer.getbuffer() as whole, whole[: self._buffer.tell()] as come:
            if self._decoder:
                self._decoded(partial(self._put_decoded, self._file, self._decoder, bytes(come)))
            else:
                self._put(self._file, come)
        self._buffer.seek(0)

    def _begin(self) -> FileIO:
        encoding = self._encoding()
        require_decodable(encoding, self._tile.name)
        if encoding:
            self._decoder = Decoder(encoding)
            self._sha256 = self._sha256 or hashlib.sha256()  # the promised MD5 is not that of the decoded bytes
        return _new_file(f"{self._folder}/{self._tile.name}")

    def _put_decoded(self, file: FileIO, decoder: Decoder, come: bytes) -> None:
        for piece in decoder.decode(come):
            self._put(file, piece)

    def _put(self, file: FileIO, piece: bytes | memoryview) -> None:
        if self._sha256:
            self._sha256.update(piece)
        self._size += len(piece)
        written = 0
        while written < len(piece):  # a full disk takes a part at first
            written += file.write(piece[written:]) or 0

    def _decoded(self, step: Callable[[], None]) -> None:
        """Bytes with the right MD5 stay as they are; all others may come better the next time."""
        try:
            step()
        except DecodeError as error:
            said = f"{self._tile.name} comes with a Content-Encoding that its bytes do not follow: {error}."
            if self._md5 is not None and self._md5.digest() == self._tile.md5:
                raise ContentError(said) from None
            raise UndecodableTileError(said, (self._come, self._hexdigest)) from None


def _new_file(path: str) -> FileIO:
    try:
        return FileIO(path, "xb")
    except FileExistsError:
        Path(path).unlink()  # it may be a hard link to a published file
        return FileIO(path, "xb")
