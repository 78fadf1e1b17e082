"""Resolve the changeset that a flow run exports."""

from datetime import datetime
from typing import TypeVar

from prefect import get_run_logger, task

from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from tasks.current_export import BASELINE
from tasks.export_progress import current_progress
from tasks.exported_changeset import ExportedChangeset, find_changeset
from tasks.known_imodel import find_known_changeset
from tasks.options import ExportRequest
from tasks.released.wait import earlier_changeset
from tasks.retry import once_per_flow_run

Request = TypeVar("Request", bound=ExportRequest)


async def with_changeset(credentials: ItwinCredentials, request: Request) -> tuple[Request, str]:
    """The request with what is known of its changeset, and the id of that; empty for the baseline.

    Raises:
        NotFoundError: There is no such iModel, changeset or named version.
        InputError: Several named versions are called as asked.
    """
    if known := find_known_changeset(request):
        found = known.found
    else:
        found = await resolve_changeset(credentials, request.imodel_id, request.changeset_id, request.named_version)
    version = f" of the named version “{found.version.name}”" if found.version else ""
    if found.id == BASELINE:
        get_run_logger().info("The baseline%s of iModel %s is exported.", version, request.imodel_id)
    request = request.with_names(changeset_index=found.index, version=found.version)
    current_progress().note_request(request, changeset_id=found.id)
    return request, found.id


def changeset_read_at(itwin: ItwinApis, request: ExportRequest) -> datetime:
    """When the changeset of the request was read, by the platform's clock: before the export began, or just now."""
    known = find_known_changeset(request)
    return known.read_at if known else itwin.client.server_now()


@task(
    **once_per_flow_run(1, 3, 8),  # one flow run exports one changeset, also in its retries
)
async def resolve_changeset(
    credentials: ItwinCredentials, imodel_id: str, changeset: str = "", named_version: str = ""
) -> ExportedChangeset:
    """The requested changeset: that of a named version, one given as id or index, or the latest.

    Retries of the same flow run get the same result, and so does a flow run that was suspended meanwhile.

    Raises:
        NotFoundError: There is no such iModel, changeset or named version.
        InputError: Several named versions are called as asked.
    """
    if not (changeset or named_version):
        changeset = await earlier_changeset()
    async with credentials.get_client() as itwin:
        return await find_changeset(itwin, imodel_id, changeset, named_version)
