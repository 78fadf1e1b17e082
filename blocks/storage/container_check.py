"""Will the container take and give the files of an export? Asked of the storage itself, before a run is started.

Nothing is written: a blob is put under a condition that no blob fulfils, so that Azure looks at address, signature and
permission and then answers 412. Error codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from pydantic import SecretStr
from yarl import URL

from blocks.errors import ConfigurationError, InterruptedTransferError
from blocks.network import proxy_for
from blocks.storage.blob_address import BlobAddress, parse_blob_address
from blocks.storage.download.http_source import broken_connection, new_session
from blocks.storage.retry import RetryPolicy, ThrottledError, retry
from blocks.storage.sas_check import SasLink
from blocks.timestamps import parse_retry_after

CONNECT_SECONDS = 10.0
"""Silence after which a host counts as not reachable."""
TRIES = RetryPolicy(attempts=3, first_pause=0.3, longest_pause=2.0)
IMPOSSIBLE = {"x-ms-blob-type": "BlockBlob", "If-Match": '"itwin-export-asks-whether-it-may-write"'}
"""Headers of a Put Blob that takes no effect; a store that ignores If-Match would keep an empty blob."""
_MAY_WRITE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CREATED}
_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class NoContainerError(ConfigurationError):
    """The container does not exist."""


@dataclass(frozen=True)
class Answer:
    """What the storage says to one request; `code` is Azure's own word for what is wrong."""

    status: int
    code: str

    def __str__(self) -> str:
        return f"HTTP {self.status}, {self.code}" if self.code else f"HTTP {self.status}"


async def check_link(link: SasLink) -> None:
    """Try a ready-made link with one HEAD.

    Raises:
        ConfigurationError: The host is not reachable, refuses the link, or lacks the container; or there is a file that
            the link may not write over.
        ThrottledError: The host cannot answer now.
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


async def check_writable(url: SecretStr, advice: str) -> None:
    """Ask whether a link made from an account may write into its container.

    Args:
        url: A link of any blob in it that may create and write.
        advice: What to do about a refusal.

    Raises:
        NoContainerError: The container does not exist.
        ConfigurationError: The host is not reachable, or refuses.
        ThrottledError: The host cannot answer now.
    """
    address = parse_blob_address(url.get_secret_value())
    answer = await _ask("PUT", url, IMPOSSIBLE)
    if answer.status == HTTPStatus.NOT_FOUND and answer.code == "ContainerNotFound":
        raise _no_container(address, answer)
    if answer.status not in _MAY_WRITE:
        raise ConfigurationError(f"{address.host} refuses to write into {address.place} ({answer}). {advice}")


def _no_container(address: BlobAddress, answer: Answer) -> NoContainerError:
    return NoContainerError(
        f"User Blob Storage: there is no {address.place} ({answer}). Create it, correct its name, or let the block "
        f"create it (create_container)."
    )


async def _ask(method: str, url: SecretStr, headers: Mapping[str, str]) -> Answer:
    """One question, repeated for a moment where no answer comes."""
    address = parse_blob_address(url.get_secret_value())

    async def once() -> Answer:
        async with new_session(CONNECT_SECONDS) as session:
            return await _send(session, method, url.get_secret_value(), headers)

    async def no_renewal() -> None:
        return

    try:
        return await retry(once, no_renewal, TRIES)
    except ThrottledError:
        raise
    except InterruptedTransferError as error:
        raise ConfigurationError(
            f"The host of {address.place} cannot be reached. {error} Correct its address in the User Blob Storage, "
            f"or see to the network, and start again."
        ) from None


async def _send(session: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str]) -> Answer:
    host = parse_blob_address(url).host
    try:
        async with session.request(
            method, URL(url, encoded=True), headers=headers, allow_redirects=False, proxy=proxy_for(url)
        ) as response:
            answer = Answer(response.status, response.headers.get("x-ms-error-code", ""))
            pause = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise broken_connection(error, url) from None
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _BUSY:
        raise ThrottledError(f"{host} cannot answer now ({answer}).", pause)
    return answer
