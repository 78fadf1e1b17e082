"""Protocol of a range source, and the checks of range responses that client libraries do not make.

Seen with azure-storage-blob and others: a self-consistent answer that is shorter than asked for, a
whole body in place of a range and another version of the blob pass unnoticed. So each answer is held against
the question.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from blocks.content_encoding import encoding_of
from blocks.errors import (
    ExportError,
    InterruptedTransferError,
    LinkExpiredError,
    NotFoundError,
    TransferError,
)
from blocks.foreign_data import read_etag
from blocks.storage.retry import BlobChangedError, ThrottledError
from blocks.timestamps import parse_retry_after

CONTENT_STATUSES = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}
_CONTENT_RANGE = re.compile(r"bytes \d{1,18}-\d{1,18}/(\d{1,18})")


@dataclass(frozen=True)
class BlobProperties:
    """Properties of the stored blob: size in bytes, ETag, MD5 digest and Content-Encoding."""

    size: int
    etag: str | None = None
    md5: bytes | None = None
    encoding: str | None = None


class RangeSource(Protocol):
    """A blob that can be read in ranges with a renewable link.

    Attributes:
        chunk_size: Recommended bytes per request, which may be held in memory.
    """

    chunk_size: int

    async def properties(self) -> BlobProperties:
        """Request the blob's properties."""
        ...

    def read(self, start: int, length: int, properties: BlobProperties) -> AsyncGenerator[bytes]:
        """Yield the pieces of a range of this version of the blob; may be called concurrently.

        The caller counts the bytes: no header reveals a body that ends early.
        """
        ...

    async def renew(self) -> None:
        """Get a new link after a `LinkExpiredError`; concurrent callers share one."""
        ...


def is_strong(etag: str | None) -> bool:
    """True when the ETag may be used with If-Match (RFC 9110, 13.1.1)."""
    return etag is not None and not etag.startswith("W/")


def refusal(status: int, headers: Mapping[str, str], host: str) -> ExportError:
    """The error for a response without content."""
    if status in {401, 403}:
        return LinkExpiredError(f"{host} no longer accepts the link (HTTP {status}); a fresh one is needed.")
    if status in {404, 410}:
        return NotFoundError(f"{host} has no such file any more (HTTP {status}). Export it again.")
    if status in {412, 416}:
        return BlobChangedError(f"The file on {host} was replaced while it was read (HTTP {status}).")
    if status in {408, 425, 429} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        pause = parse_retry_after(headers.get("Retry-After"), headers.get("Date"))
        return ThrottledError(f"{host} cannot answer now (HTTP {status}).", pause)
    return TransferError(f"{host} refuses the download (HTTP {status}); redirects are not followed.")


def check_range(
    status: int, headers: Mapping[str, str], host: str, wanted: tuple[int, int], properties: BlobProperties
) -> None:
    """Check the response to a range request.

    Raises:
        BlobChangedError: It is another version of the blob.
        InterruptedTransferError: It is not the requested range.
    """
    start, length = wanted
    if read_etag(headers.get("ETag")) != properties.etag:
        raise BlobChangedError(f"The file on {host} was replaced while it was read.")
    if encoding_of(headers) != properties.encoding:
        raise InterruptedTransferError(f"{host} sent a part of the file in another encoding than it announced.")
    if status == HTTPStatus.PARTIAL_CONTENT:
        _check_extent(headers.get("Content-Range", ""), f"bytes {start}-{start + length - 1}/{properties.size}", host)
    elif status != HTTPStatus.OK or wanted != (0, properties.size):
        raise InterruptedTransferError(f"{host} sent the whole file where a range was asked for.")
    if headers.get("Content-Length", str(length)) != str(length):
        raise InterruptedTransferError(f"{host} announced another length than the range asked for.")


def _check_extent(said: str, asked: str, host: str) -> None:
    if said == asked:
        return
    match = _CONTENT_RANGE.fullmatch(said)
    if match and match[1] != asked.rpartition("/")[2]:
        raise BlobChangedError(f"The file on {host} changed its size while it was read.")
    raise InterruptedTransferError(f"{host} sent another range than the one asked for ({asked}).")
