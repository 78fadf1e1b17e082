"""Read the version of a mapping file: an export with another version counts as an export with other options."""

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, RUN_ID

from blocks.errors import NotAuthorizedError, NotFoundError, RequestRefusedError
from blocks.itwin.credentials import ItwinCredentials
from tasks.ifc.options import IfcRequest
from tasks.retry import is_transient


async def with_mapping(credentials: ItwinCredentials, request: IfcRequest) -> IfcRequest:
    """Add the version of the mapping file to a request that names one."""
    if request.mapping_file_id is None:
        return request
    version = await read_mapping_version(credentials, request.mapping_file_id)
    return request.model_copy(update={"mapping_version": version})


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    retry_condition_fn=is_transient,
    cache_policy=INPUTS - "credentials" + RUN_ID,  # one version for all exports and retries of a flow run
    persist_result=True,
    result_serializer="json",
)
async def read_mapping_version(credentials: ItwinCredentials, mapping_file_id: str) -> str:
    """Size and modification time of a file in Storage; empty if the caller may not read it.

    The platform's exporter may be able to read the file nevertheless (undocumented).
    """
    async with credentials.get_client() as itwin:
        try:
            file = await itwin.storage.get_file(mapping_file_id)
        except (NotFoundError, NotAuthorizedError, RequestRefusedError) as error:
            get_run_logger().warning("Changes of the mapping file cannot be detected. %s", error)
            return ""
    changed = file.last_modified_date_time or file.created_date_time
    return f"{file.size} bytes, {changed.isoformat() if changed else 'unknown time'}"
