"""Load the block of the user's Azure container and verify access to it before a run is started."""

from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.settings import read_settings
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.ifc.options import IfcRequest
from tasks.load_blocks import load_saved
from tasks.retry import retries_after


async def load_blob_storage(name: str, request: IfcRequest) -> UserBlobStorage | None:
    """The user blob storage of that name; None unless the request writes to one. Its links must outlast the deadline.

    Raises:
        ConfigurationError: There is no such block, or its links expire too early.
    """
    if request.output_location != "USER_BLOB_STORAGE":
        return None
    storage = await load_saved(UserBlobStorage, name) or UserBlobStorage.from_settings(read_settings())
    storage.check(until=datetime.now(UTC) + request.policy.timeout, save_logs=request.save_logs)
    return storage


async def verify_blob_storage(storage: UserBlobStorage | None, request: IfcRequest) -> None:
    """Verify that the container permits writing and reading; does nothing without `storage`.

    Raises:
        ConfigurationError: Access is not possible.
    """
    if storage is not None:
        await verify_access(storage, request)


@task(
    **retries_after(1, 2, 4, 8),
    cache_policy=NO_CACHE,  # the current state is needed
    persist_result=False,
)
async def verify_access(storage: UserBlobStorage, request: IfcRequest) -> None:
    """Verify that the container permits writing and reading.

    Raises:
        ConfigurationError: Access is not possible.
    """
    await storage.verify_access(until=datetime.now(UTC) + request.policy.timeout, save_logs=request.save_logs)
