"""Small requests to a blob with a SAS URL: does it exist, read it, write it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from yarl import URL

from blocks.errors import ConfigurationError, InterruptedTransferError, NotFoundError
from blocks.network import proxy_for
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import parse_blob_address
from blocks.storage.download.http_source import broken_connection, new_session
from blocks.storage.retry import RetryPolicy, ThrottledError, retry
from blocks.timestamps import parse_retry_after

CONNECT_SECONDS = 10.0
"""Time without data after which a host counts as unreachable."""
RETRIES = RetryPolicy(attempts=3, first_pause=0.3, longest_pause=2.0)
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True)
class BlobResponse:
    """The storage's response to one request.

    Attributes:
        code: Azure's error code (`x-ms-error-code`).
        retry_after: Seconds it asks to wait; 0 if it names none.
    """

    status: int
    code: str
    body: bytes = b""
    retry_after: float = 0.0

    @property
    def is_busy(self) -> bool:
        """True for a server error or throttling: the same request may succeed later."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _BUSY

    def __str__(self) -> str:
        return f"HTTP {self.status}, {self.code}" if self.code else f"HTTP {self.status}"


async def send_to_blob(
    method: str, url: SignedUrl, headers: Mapping[str, str] = _NO_HEADERS, *, content: bytes = b"", limit: int = 0
) -> BlobResponse:
    """Send one request, up to three times until there is a response.

    Args:
        method: HTTP method.
        url: SAS URL of the blob.
        headers: Further headers.
        content: The body.
        limit: Bytes of the response's body that are read.

    Raises:
        ConfigurationError: The host is unreachable.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx). The calling task repeats that, not this.
    """
    address = parse_blob_address(url)

    async def once() -> BlobResponse:
        async with new_session(CONNECT_SECONDS) as session:
            return await _send(session, method, url, limit, headers=headers, data=content or None)

    async def no_renewal() -> None:
        return

    try:
        answer = await retry(once, no_renewal, RETRIES)
    except InterruptedTransferError as error:
        raise ConfigurationError(
            f"The host of {address.place} cannot be reached. {error} Correct its address in the User Blob Storage, "
            f"or check the network, and start again."
        ) from None
    if answer.is_busy:
        raise ThrottledError(f"{url.host} cannot answer now ({answer}).", answer.retry_after)
    return answer


async def read_blob(url: SignedUrl, limit: int) -> bytes:
    """The content of a blob, or the first `limit` bytes of a longer one.

    Raises:
        NotFoundError: There is no such blob.
        ConfigurationError: The host is unreachable or refuses the link.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx).
    """
    address = parse_blob_address(url)
    answer = await send_to_blob("GET", url, limit=limit)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(f"There is no blob “{address.blob}” in {address.place} ({answer}). Check its name.")
    _require(answer, HTTPStatus.OK, f"to read “{address.blob}” in {address.place}", address.host)
    return answer.body


async def write_blob(url: SignedUrl, content: bytes) -> None:
    """Write a blob with one request.

    Raises:
        ConfigurationError: The host is unreachable or refuses the link.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx).
    """
    address = parse_blob_address(url)
    answer = await send_to_blob("PUT", url, _BLOCK_BLOB, content=content)
    _require(answer, HTTPStatus.CREATED, f"to write “{address.blob}” into {address.place}", address.host)


def _require(answer: BlobResponse, status: HTTPStatus, what: str, host: str) -> None:
    if answer.status != status:
        raise ConfigurationError(
            f"{host} refuses {what} ({answer}). Check the connection string or SAS link of the User Blob Storage."
        )


async def _send(
    session: aiohttp.ClientSession, method: str, url: SignedUrl, limit: int, **content: Any
) -> BlobResponse:
    try:
        target, proxy = URL(url.reveal(), encoded=True), proxy_for(url.unsigned)
        async with session.request(method, target, allow_redirects=False, proxy=proxy, **content) as response:
            body = await _read(response, limit)
            pause = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
            return BlobResponse(response.status, response.headers.get("x-ms-error-code", ""), body, pause)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise broken_connection(error, url) from None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    while len(body) < limit and (piece := await response.content.read(limit - len(body))):
        body += piece
    return bytes(body)
