"""Which changeset is exported."""

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
    """The id of the asked changeset (an id or an index), else of the latest.

    An iModel without changesets has only its baseline: an empty id. A retry of the same flow run gets the same answer.

    Raises:
        NotFoundError: There is no such iModel or changeset.
    """
    async with credentials.get_client() as itwin:
        found = await itwin.imodels.find_changeset(imodel_id, changeset)
    if found is None:
        get_run_logger().info("iModel %s has no changesets; its baseline is exported.", imodel_id)
        return BASELINE
    return found.id
