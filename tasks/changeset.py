"""Resolve the changeset that a flow run exports."""

from prefect import get_run_logger, task
from prefect.cache_policies import INPUTS, RUN_ID

from blocks.itwin.credentials import ItwinCredentials
from tasks.current_export import BASELINE
from tasks.retry import is_transient


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    retry_condition_fn=is_transient,
    cache_policy=INPUTS - "credentials" + RUN_ID,  # one flow run exports one changeset, also in its retries
    persist_result=True,
    result_serializer="json",
)
async def resolve_changeset(credentials: ItwinCredentials, imodel_id: str, changeset: str = "") -> str:
    """The id of the requested changeset, given as id or index, or of the latest when `changeset` is empty.

    For an iModel without changesets the result is an empty string: its baseline is exported. Retries of the same flow
    run get the same result.

    Raises:
        NotFoundError: There is no such iModel or changeset.
    """
    async with credentials.get_client() as itwin:
        found = await itwin.imodels.find_changeset(imodel_id, changeset)
    if found is None:
        get_run_logger().info("iModel %s has no changesets; its baseline is exported.", imodel_id)
        return BASELINE
    return found.id
