"""The user's own Azure container, for exports that are written there."""

from datetime import UTC, datetime

from blocks.settings import read_settings
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.ifc.options import IfcRequest
from tasks.load_blocks import load_saved


async def load_blob_storage(name: str, request: IfcRequest) -> UserBlobStorage | None:
    """The saved user blob storage of that name, if the request writes to one; checked to last until the deadline.

    Raises:
        ConfigurationError: There is none, or it cannot serve this export.
    """
    if request.output_location != "USER_BLOB_STORAGE":
        return None
    storage = await load_saved(UserBlobStorage, name) or UserBlobStorage.from_settings(read_settings())
    storage.check(until=datetime.now(UTC) + request.policy.timeout, save_logs=request.save_logs)
    return storage
