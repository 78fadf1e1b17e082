"""Check, with requests to the storage, that a container can be written to and read before a run is started.

Nothing is written: a Put Blob with an `If-Match` that no blob matches makes Azure check address, signature and
permission and then answer 412. Error codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from http import HTTPStatus

from blocks.errors import ConfigurationError
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import BlobAddress, parse_blob_address
from blocks.storage.blob_request import BlobResponse, send_to_blob
from blocks.storage.sas_check import SasLink

UNMATCHED_PUT_HEADERS = {"x-ms-blob-type": "BlockBlob", "If-Match": '"itwin-export-asks-whether-it-may-write"'}
"""Headers of a Put Blob without effect; a server that ignores If-Match would create an empty blob."""
_MAY_WRITE = {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CREATED}


class NoContainerError(ConfigurationError):
    """The container does not exist."""


async def check_link(link: SasLink) -> None:
    """Check a ready-made SAS link with one HEAD request.

    Raises:
        ConfigurationError: The host is unreachable or rejects the link, the container does not exist, or the blob
            exists and the link may not overwrite it.
        ThrottledError: The host is overloaded or fails (408, 429 or 5xx).
    """
    address = link.address
    answer = await send_to_blob("HEAD", link.url)
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
    answer = await send_to_blob("PUT", url, UNMATCHED_PUT_HEADERS)
    if answer.status == HTTPStatus.NOT_FOUND and answer.code == "ContainerNotFound":
        raise _no_container(address, answer)
    if answer.status not in _MAY_WRITE:
        raise ConfigurationError(f"{address.host} refuses to write into {address.place} ({answer}). {advice}")


def _no_container(address: BlobAddress, answer: BlobResponse) -> NoContainerError:
    return NoContainerError(
        f"User Blob Storage: there is no {address.place} ({answer}). Create it, correct its name, or let the block "
        f"create it (create_container)."
    )
