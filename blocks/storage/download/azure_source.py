"""Range source for a blob with a SAS URL, read with the Azure SDK; each response is checked here."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import BlobClient

from blocks.content_encoding import encoding_of
from blocks.errors import ExportError, InterruptedTransferError, LinkExpiredError, LinkRefusedError, NotFoundError
from blocks.foreign_data import read_etag
from blocks.network import proxy_for, via
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import parse_blob_address
from blocks.storage.download.http_source import STALL_SECONDS, broken_connection, new_session
from blocks.storage.download.source import CONTENT_STATUSES, BlobProperties, check_range, is_strong, refusal
from blocks.storage.renewable_link import FetchLink, RenewableLink

LARGEST_RANGE = 16 * 1024 * 1024
"""Bytes per range, which the SDK holds in memory; it would split a longer range."""
_READ_SIZE = 256 * 1024
"""Most bytes per read from a connection. The SDK's default, 4 KiB, takes 0.8 s more processor time per gigabyte."""

_SDK_FAULTS = (AzureError, aiohttp.ClientError, OSError, ValueError, TypeError, LookupError, AttributeError)
"""The SDK raises these besides its own errors if a response header is invalid."""


class AzureBlobRanges:
    """A `RangeSource` over azure-storage-blob; use as an async context manager.

    Args:
        fetch_link: Returns a new SAS URL of the blob.
        stall_seconds: Time without data after which a connection is closed.
    """

    chunk_size = 1024 * 1024
    """Bytes per request. The SDK holds and copies a whole chunk: with 4 MiB the system maps new memory for each copy,
    which takes more processor time than the additional requests."""

    def __init__(self, fetch_link: FetchLink, *, stall_seconds: float = STALL_SECONDS) -> None:
        self._link = RenewableLink(fetch_link)
        self._refused: set[SignedUrl] = set()
        self._clients: dict[SignedUrl, BlobClient] = {}
        self._open = AsyncExitStack()
        self._session = new_session(stall_seconds, is_for_content=True)
        self._transport = AioHttpTransport(
            session=self._session,
            session_owner=False,
            connection_timeout=stall_seconds,
            connection_data_block_size=_READ_SIZE,
            read_timeout=stall_seconds,  # of the transport: the SDK ignores the client's once a transport is given
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()
        await self._session.close()

    async def properties(self) -> BlobProperties:
        """Request the blob's properties."""
        url = await self._current()
        async with AsyncExitStack() as responses:
            try:
                hook = self._response_hook(url, responses)
                properties = await self._client(url).get_blob_properties(raw_response_hook=hook)
                settings = properties.content_settings
                md5 = bytes(settings.content_md5) if settings.content_md5 else None
                encoding = encoding_of({"Content-Encoding": settings.content_encoding or ""})
                return BlobProperties(properties.size, read_etag(properties.etag), md5, encoding)
            except _SDK_FAULTS as fault:
                raise broken_connection(fault, url) from None

    async def read(self, start: int, length: int, properties: BlobProperties) -> AsyncGenerator[bytes]:
        """Yield one range as a single piece: the SDK collects it in memory."""
        url = await self._current()
        is_pinned = is_strong(properties.etag)
        async with AsyncExitStack() as responses:
            try:
                stream: Any = await self._client(url).download_blob(
                    start,
                    length,
                    max_concurrency=1,
                    decompress=False,  # a range of a compressed blob cannot be decoded by itself
                    etag=properties.etag if is_pinned else None,
                    match_condition=MatchConditions.IfNotModified if is_pinned else None,
                    raw_request_hook=_one_request(url),
                    raw_response_hook=self._response_hook(url, responses, (start, length), properties),
                )
                content: bytes = await stream.readall()
            except _SDK_FAULTS as fault:
                raise broken_connection(fault, url) from None
        yield content

    async def renew(self) -> None:
        """Get a new link unless another caller just did.

        Raises:
            LinkRefusedError: The link was rejected and there is no other.
        """
        await self._current()

    async def _current(self) -> SignedUrl:
        try:
            return await self._link.current()
        except LinkExpiredError:
            raise _refused_for_good(next(iter(self._refused), SignedUrl(""))) from None

    def _client(self, url: SignedUrl) -> BlobClient:
        """One client per link; clients of earlier links stay open for reads in progress."""
        if url not in self._clients:
            proxy = proxy_for(url.unsigned)
            client = BlobClient.from_blob_url(
                url.reveal(),
                transport=self._transport,
                proxies={urlsplit(url.unsigned).scheme: proxy} if proxy else None,
                max_single_get_size=LARGEST_RANGE,
                retry_total=0,  # retries are counted in one place: RetryPolicy
                permit_redirects=False,
            )
            self._clients[url] = client
            self._open.push_async_callback(client.close)
        return self._clients[url]

    def _response_hook(
        self,
        url: SignedUrl,
        responses: AsyncExitStack,
        wanted: tuple[int, int] | None = None,
        properties: BlobProperties | None = None,
    ) -> Callable[[Any], None]:
        """A hook that checks each response before the SDK and closes it later: the SDK leaves failed ones open."""

        def check_response(response: Any) -> None:
            answer = response.http_response
            responses.callback(answer.internal_response.close)
            self._check(url, answer.status_code, answer.headers, wanted, properties)

        return check_response

    def _check(
        self,
        url: SignedUrl,
        status: int,
        headers: Mapping[str, str],
        wanted: tuple[int, int] | None,
        properties: BlobProperties | None,
    ) -> None:
        if status not in CONTENT_STATUSES:
            error = _refusal(status, headers, url)
            if isinstance(error, LinkExpiredError):
                self._link.mark_rejected(url)
                self._refused.add(url)
            if len(self._refused) > 1:
                raise _refused_for_good(url)
            raise error
        self._refused.clear()
        if wanted and properties:
            check_range(status, headers, url.host, wanted, properties)
            _require_length(headers, url.host)


def _require_length(headers: Mapping[str, str], host: str) -> None:
    """The SDK keeps a body in memory to its end; only its length says where that is."""
    if "Content-Length" not in headers or "Transfer-Encoding" in headers:
        raise InterruptedTransferError(f"{host} sent a part of the file without its length.")


def _one_request(url: SignedUrl) -> Callable[[object], None]:
    """A hook that lets one request pass: the SDK repeats one whose body breaks, and cannot be told not to.

    Raises:
        InterruptedTransferError: The body broke; `RetryPolicy` counts the attempts.
    """
    sent: list[object] = []

    def count(request: object) -> None:
        if sent:
            raise InterruptedTransferError(f"The connection to {url.host}{via(url.unsigned)} broke midway.")
        sent.append(request)

    return count


def _refusal(status: int, headers: Mapping[str, str], url: SignedUrl) -> ExportError:
    """The error for a response without content; a 404 tells whether the container or the blob is missing."""
    address, code = parse_blob_address(url), headers.get("x-ms-error-code", "")
    if status not in {404, 410}:
        return refusal(status, headers, address.host)
    if code == "ContainerNotFound":
        return NotFoundError(f"There is no {address.place} any more (HTTP {status}). Create it and export again.")
    return NotFoundError(
        f"There is no “{address.blob}” in {address.place} (HTTP {status}): it was never written or has been deleted. "
        f"Run the same command again for a new export."
    )


def _refused_for_good(url: SignedUrl) -> LinkRefusedError:
    address = parse_blob_address(url)
    return LinkRefusedError(
        f"{address.host} refuses the link to container “{address.container}”, and no new one can help: it has expired "
        f"or was revoked, may not read, or the account's key was replaced. Correct the User Blob Storage and run the "
        f"same command again."
    )
