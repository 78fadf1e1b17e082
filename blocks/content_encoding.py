"""Content-Encoding of blobs: the stored bytes are checked, the decoded ones are kept.

A blob may be stored compressed; the host then sends it so, whatever the client accepts:
https://learn.microsoft.com/rest/api/storageservices/get-blob#response-headers.
"""

import hashlib
import zlib
from collections.abc import Generator, Mapping
from pathlib import Path

from blocks.disk import sync_file
from blocks.errors import ContentError

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Parameter of zlib by the name of the encoding (RFC 9110, 8.4.1)."""
_PIECE = 1024 * 1024
_MOST_TIMES = 100
"""Decoded bytes for each stored one: models compress to a tenth, more than this is taken for an attack."""
_ALWAYS_ALLOWED = 64 * 1024 * 1024


class DecodeError(ValueError):
    """The bytes do not follow the encoding that was announced."""


def encoding_of(headers: Mapping[str, str]) -> str | None:
    """The Content-Encoding of a response; None for unencoded content."""
    name = (headers.get("Content-Encoding") or headers.get("content-encoding") or "").strip().lower()
    return None if name in {"", "identity"} else name


def is_decodable(encoding: str) -> bool:
    """True for an encoding that `Decoder` knows."""
    return encoding in _WINDOWS


def require_decodable(encoding: str | None, name: str) -> None:
    """Check that an encoding is supported.

    Raises:
        ContentError: It is not; the message names the file and the encoding.
    """
    if encoding and not is_decodable(encoding):
        raise ContentError(
            f"{name} is stored with Content-Encoding {encoding[:40]!r}, which cannot be decoded: gzip and deflate can. "
            "Store it again without encoding."
        )


class Decoder:
    """Decodes the pieces of one blob in order; gives at most a megabyte at once."""

    def __init__(self, encoding: str) -> None:
        self._window = _WINDOWS[encoding]
        self._stream = zlib.decompressobj(self._window)
        self._come = self._given = 0

    def decode(self, piece: bytes) -> Generator[bytes]:
        """Yield the decoded content of the next piece.

        Raises:
            DecodeError: It is invalid, or expands to more than 100 times its size.
        """
        self._come += len(piece)
        while piece:
            if self._stream.eof:
                if not piece.strip(b"\0"):
                    return
                self._stream = zlib.decompressobj(self._window)  # gzip may have several members
            try:
                decoded = self._stream.decompress(piece, _PIECE)
            except zlib.error as error:
                raise DecodeError(str(error)) from None
            piece = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._given += len(decoded)
            if self._given > max(_ALWAYS_ALLOWED, self._come * _MOST_TIMES):
                raise DecodeError(f"it holds more than {_MOST_TIMES} times its own bytes")
            yield decoded

    def finish(self) -> None:
        """Raise `DecodeError` if the encoded stream is incomplete."""
        if not self._stream.eof:
            raise DecodeError("it ends too early")


def decode_file(source: Path, target: Path, encoding: str) -> tuple[int, str]:
    """Decode a file into another; returns size and SHA-256 in hex digits.

    Raises:
        DecodeError: The bytes do not follow the encoding; no file is left.
    """
    decoder, size, sha256 = Decoder(encoding), 0, hashlib.sha256()
    try:
        with source.open("rb") as stored, target.open("wb") as file:
            while piece := stored.read(_PIECE):
                for decoded in decoder.decode(piece):
                    file.write(decoded)
                    sha256.update(decoded)
                    size += len(decoded)
        decoder.finish()
        sync_file(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return size, sha256.hexdigest()
