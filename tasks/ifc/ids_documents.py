"""IDS documents that acceptance rules name and that are not on this machine: blobs of the user's container."""

from datetime import UTC, datetime, timedelta

from blocks.bounds import LONGEST_IDS
from blocks.errors import ConfigurationError, InputError, NotFoundError
from blocks.settings import read_settings
from blocks.storage.acceptance.ids.documents import read_document
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.blob_request import read_blob
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.ifc.options import IfcRequest
from tasks.load_blocks import load_saved
from tasks.local_file import local_path

LINK_LIFE = timedelta(minutes=15)


async def with_documents(request: IfcRequest) -> IfcRequest:
    """The request with all IDS documents that its acceptance rules name.

    Raises:
        InputError: A document does not exist, or it cannot be read.
    """
    if request.rules is None or not request.rules.missing_documents:
        return request
    return request.model_copy(update={"rules": await load_documents(request.rules, request.blob_storage)})


async def load_documents(given: GivenRules, blob_storage: str) -> GivenRules:
    """The rules with the documents that have not been read yet, from the container of that User Blob Storage.

    Raises:
        InputError: A document does not exist, or it cannot be read.
    """
    documents = list(given.documents)
    for name in given.missing_documents:
        try:
            storage = await load_saved(UserBlobStorage, blob_storage) or UserBlobStorage.from_settings(read_settings())
            link = storage.link_to(name, until=datetime.now(UTC) + LINK_LIFE)
            documents.append(read_document(name, await read_blob(link, LONGEST_IDS + 1)))
        except (NotFoundError, ConfigurationError) as error:
            raise InputError(
                f"There is no IDS document {local_path(name)}, and none in your container: {error}"
            ) from None
    return given.model_copy(update={"documents": tuple(documents)})
