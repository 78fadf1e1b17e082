"""Blocks by name; `default` falls back to the environment. Not tasks: a task's result could be persisted."""

from datetime import UTC, datetime
from typing import TypeVar

from prefect import get_client
from prefect.blocks.core import Block
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import ValidationError

from blocks.errors import ConfigurationError
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import read_settings
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.options import IfcRequest, RunPolicy

Loaded = TypeVar("Loaded", bound=Block)


async def load_credentials(name: str) -> ItwinCredentials:
    """The saved credentials of that name.

    Raises:
        ConfigurationError: There are none; the message lists the saved ones.
    """
    saved = await _load_saved(ItwinCredentials, name)
    return saved or ItwinCredentials.from_settings(read_settings())


async def load_blob_storage(name: str, request: IfcRequest, policy: RunPolicy) -> UserBlobStorage | None:
    """The saved user blob storage of that name, if the request writes to one; checked to last until the deadline.

    Raises:
        ConfigurationError: There is none, or it cannot serve this export.
    """
    if request.output_location != "USER_BLOB_STORAGE":
        return None
    storage = await _load_saved(UserBlobStorage, name) or UserBlobStorage.from_settings(read_settings())
    storage.check(until=datetime.now(UTC) + policy.timeout, save_logs=request.save_logs)
    return storage


async def _load_saved(kind: type[Loaded], name: str) -> Loaded | None:
    """None when `default` was never saved."""
    slug = kind.get_block_type_slug()
    saved = await _saved_names(kind)
    if name in saved:
        try:
            return await kind.aload(name)
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]["msg"]
            raise ConfigurationError(
                f"The block “{name}” ({kind.get_block_type_slug()}) is not usable: {fault}."
            ) from None
    if name == "default":
        return None
    listed = ", ".join(saved) or "none is saved"
    raise ConfigurationError(
        f"There is no {slug} block named “{name}”. Saved ones: {listed}. "
        f"Choose one of them, or save one in the Prefect UI under Blocks."
    )


async def _saved_names(kind: type[Block]) -> list[str]:
    async with get_client() as client:
        try:
            found = await client.read_block_documents_by_type(kind.get_block_type_slug(), include_secrets=False)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            return []  # no block of this type was ever saved on this server
    return sorted(document.name for document in found if document.name)
