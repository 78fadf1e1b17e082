"""Find or create the export connection for an iModel and its options."""

from datetime import datetime, timedelta
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.utilities.hashing import hash_objects
from pydantic import BaseModel, ConfigDict

from blocks.errors import InputError
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import ExportConnection
from tasks.ifc.options import IfcRequest
from tasks.retry import retries_after


class Connection(BaseModel):
    """An export connection; `is_own` is true if this tool created it for exactly these options.

    `read_at` is when the platform last showed it, by its own clock, `is_new` whether it was created then.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    is_own: bool
    read_at: datetime | None = None
    is_new: bool = False


async def connect(credentials: ItwinCredentials, request: IfcRequest) -> Connection:
    """The connection that the caller names, or one of this tool for the options."""
    if request.connection_id:
        named = await check_connection(credentials, request.connection_id, request.imodel_id)
        return Connection(id=named, is_own=False)
    return await ensure_connection(credentials, request)


async def reconnect(credentials: ItwinCredentials, request: IfcRequest) -> Connection:
    """Find or create the connection again, without the cached id, after it was deleted."""
    renewed = ensure_connection.with_options(refresh_cache=True)
    return await renewed(credentials, request)


def connection_key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:  # noqa: ARG001  Prefect's shape
    """Cache key: one connection per API host, caller, iModel and options; contains no secret."""
    credentials: ItwinCredentials = parameters["credentials"]
    request: IfcRequest = parameters["request"]
    caller = (credentials.api_url, *credentials.identity.key)
    return hash_objects("export-connection-with-time", caller, request.imodel_id, request.connection_name)


@task(
    **retries_after(2, 5, 15),
    cache_key_fn=connection_key,
    cache_expiration=timedelta(days=7),
    persist_result=True,
    result_serializer="json",
)
async def ensure_connection(credentials: ItwinCredentials, request: IfcRequest) -> Connection:
    """This tool's connection for these options; created if the iModel has none.

    It is identified by a display name that is derived from the options, and by its authentication type. Therefore every
    run on it has these options.
    """
    async with credentials.get_client() as itwin:
        async for connection in itwin.exports.list_connections(request.imodel_id):
            if _is_ours(connection, credentials, request):
                return Connection(id=connection.id, is_own=True, read_at=itwin.client.server_now())
        created = await itwin.exports.create_connection(
            request.imodel_id,
            display_name=request.connection_name,
            authentication_type=credentials.authentication_type,
        )
        read_at = itwin.client.server_now()
    get_run_logger().info("Created export connection %s (%s).", created.id, request.connection_name)
    return Connection(id=created.id, is_own=True, read_at=read_at, is_new=True)


@task(
    **retries_after(2, 5, 15),
    cache_policy=NO_CACHE,  # a connection may be deleted at any time
    persist_result=False,
)
async def check_connection(credentials: ItwinCredentials, connection_id: str, imodel_id: str) -> str:
    """The id of a connection that the caller names, after checking that it can be used.

    Raises:
        NotFoundError: There is no such connection.
        InputError: It belongs to another iModel or has another authentication type.
    """
    async with credentials.get_client() as itwin:
        connection = await itwin.exports.get_connection(connection_id)
    if connection.imodel_id.lower() != imodel_id:
        raise InputError(
            f"Export connection {connection_id} belongs to iModel {connection.imodel_id}, not to {imodel_id}. "
            f"Name another connection, or none."
        )
    if connection.authentication_type.lower() != credentials.authentication_type.lower():
        raise InputError(
            f"Export connection {connection_id} runs as {connection.authentication_type}, these credentials are for "
            f"{credentials.authentication_type}. Name another connection, or none."
        )
    return connection.id


def _is_ours(connection: ExportConnection, credentials: ItwinCredentials, request: IfcRequest) -> bool:
    return (
        connection.display_name == request.connection_name
        and connection.imodel_id.lower() == request.imodel_id
        and connection.authentication_type.lower() == credentials.authentication_type.lower()
    )
