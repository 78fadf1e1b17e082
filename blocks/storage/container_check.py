"""Check, with requests to the storage, that a container can be written to and read before a run is started.

Nothing is written: a Put Blob with an `If-Match` that no blob matches makes Azure check address, signature and
permission and then answer 412. Error codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from yarl import URL

from blocks.errors import ConfigurationError, InterruptedTransferError
from blocks.network import proxy_for
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import BlobAddress, parse_blob_address
from blocks.storage.download.http_source import broken_connection, new_session
from blocks.storage.retry import RetryPolicy, ThrottledError, retry
from blocks.storage.sas_check import SasLink
from blocks.timestamps import parse_retry_after

CONNECT_SECONDS = 10.0
"""Time without data after which a host counts as unreachable."""
RETRIES = RetryPolicy(attempts=3, first_pause=0.3, longest_pause=2.0)
UNMATCHED_PUT_HEADERS = {"x-ms-blob-type": "BlockBlob", "If-Match": '"itwin-export-asks-whether-it-may-write"'}
"""Headers of a Put Blob without effect; a server that ignores If-Match would create an empty blob."""
_MAY_WRITE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CREATED}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class NoContainerError(ConfigurationError):
    """The container does not exist."""


@dataclass(frozen=True)
class Answer:
    """The storage's response to one request; `code` is Azure's error code (`x-ms-error-code`)."""

    status: int
    code: str

    def __str__(self) -> str:
        return f"HTTP {self.status}, {self.code}" if self.code else f"HTTP {self.status}"


async def check_link(link: SasLink) -> None:
    """Check a ready-made SAS link with one HEAD request.

    Raises:
        ConfigurationError: The host is unreachable or rejects the link, the container does not exist, or the blob
            exists and the link may not overwrite it.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx).
    """
    address = link.address
    answer = await _ask("HEAD", link.url, {})
    if answer.status == HTTPStatus.NOT_FOUND and answer.code != "ContainerNotFound":
        return
    if answer.status == HTTPStatus.NOT_FOUND:
        raise _no_container(address, answer)
    if answer.status != HTTPStatus.OK:
        raise ConfigurationError(
            f"{address.host} refuses the {link.role} SAS link of container “{address.container}” ({answer}). It was "
            f"revoked, its key was replaced, or its address was changed: make a new one."
        )
    if link.may_only_create:
        raise ConfigurationError(
            f"“{address.blob}” is already in {address.place}, and the {link.role} SAS link may create and not "
            f"overwrite (sp without w). Delete that file, or make a link that may write."
        )


async def check_writable(url: SignedUrl, advice: str) -> None:
    """Check with a conditional Put Blob that a SAS link may write into its container.

    Args:
        url: SAS URL of any blob in the container, with create and write permission.
        advice: The next step for the user if the storage rejects the request.

    Raises:
        NoContainerError: The container does not exist.
        ConfigurationError: The host is unreachable, or rejects the request.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx).
    """
    address = parse_blob_address(url)
    answer = await _ask("PUT", url, UNMATCHED_PUT_HEADERS)
    if answer.status == HTTPStatus.NOT_FOUND and answer.code == "ContainerNotFound":
        raise _no_container(address, answer)
    if answer.status not in _MAY_WRITE:
        raise ConfigurationError(f"{address.host} refuses to write into {address.place} ({answer}). {advice}")


def _no_container(address: BlobAddress, answer: Answer) -> NoContainerError:
    return NoContainerError(
        f"User Blob Storage: there is no {address.place} ({answer}). Create it, correct its name, or let the block "
        f"create it (create_container)."
    )


async def _ask(method: str, url: SignedUrl, headers: Mapping[str, str]) -> Answer:
    """Send one request; repeat it up to three times without a response."""
    address = parse_blob_address(url)

    async def once() -> Answer:
        async with new_session(CONNECT_SECONDS) as session:
            return await _send(session, method, url, headers)

    async def no_renewal() -> None:
        return

    try:
        return await retry(once, no_renewal, RETRIES)
    except ThrottledError:
        raise
    except InterruptedTransferError as error:
        raise ConfigurationError(
            f"The host of {address.place} cannot be reached. {error} Correct its address in the User Blob Storage, "
            f"or check the network, and start again."
        ) from None


async def _send(session: aiohttp.ClientSession, method: str, url: SignedUrl, headers: Mapping[str, str]) -> Answer:
    try:
        target, proxy = URL(url.reveal(), encoded=True), proxy_for(url.unsigned)
        async with session.request(method, target, headers=headers, allow_redirects=False, proxy=proxy) as response:
            answer = Answer(response.status, response.headers.get("x-ms-error-code", ""))
            pause = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise broken_connection(error, url) from None
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _BUSY:
        raise ThrottledError(f"{url.host} cannot answer now ({answer}).", pause)
    return answer
