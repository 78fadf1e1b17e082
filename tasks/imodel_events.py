"""Detect changes of iModels and emit them as Prefect events, which start `export-ifc/on-changes`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.events import Event, Resource

from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import IModel
from blocks.settings import read_settings
from blocks.storage.manifest import Manifest, read_manifest
from tasks.options import LONGEST_TIMEOUT_MINUTES
from tasks.retry import is_transient

CHANGED = "itwin.imodel.changed"
REMINDED_AFTER = timedelta(days=1)
LONGEST_EXPORT = timedelta(minutes=LONGEST_TIMEOUT_MINUTES)


async def emit_change(imodel_id: str, *, reason: str, changeset_id: str | None = None) -> None:
    """Emit the event `itwin.imodel.changed`; returns when the Prefect server has accepted it.

    Args:
        imodel_id: The iModel.
        reason: Source of the change: the event type of a webhook, or `watch-imodels`.
        changeset_id: The changeset that the event names. `export-ifc/on-changes` exports it, except after a push
            (`iModels.changesReady.v1`): one event may stand for several pushes, so the latest is exported.

    Raises:
        httpx.HTTPStatusError: The Prefect server rejected the event. `prefect.events.emit_event` sends in a background
            thread and reports no failure; therefore the request is made here.
    """
    event = Event(
        event=CHANGED,
        resource=Resource.model_validate({"prefect.resource.id": f"itwin.imodel.{imodel_id}"}),
        payload={"imodel_id": imodel_id, "changeset_id": changeset_id, "reason": reason},
    )
    async with get_client() as client:
        answer = await client.request("POST", "/events", json=[event.model_dump(mode="json")])
        answer.raise_for_status()


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,  # the current state is needed
    persist_result=False,
)
async def find_changed(
    credentials: ItwinCredentials, itwin_id: str, imodel_ids: list[str] | None, output_dir: str | None
) -> dict[str, str]:
    """Map the id of each iModel that has changed since its export to the id of its latest changeset.

    The list of iModels contains the time of the last push. Only iModels pushed to after their export may have begun
    need a request of their own.
    """
    wanted = {imodel_id.strip().lower() for imodel_id in imodel_ids or ()}
    changed: dict[str, str] = {}
    async with credentials.get_client() as itwin:
        async for imodel in itwin.imodels.list_imodels(itwin_id):
            manifest = read_manifest(_folder_of(imodel, output_dir))
            if (wanted and imodel.id.lower() not in wanted) or _is_older(imodel, manifest):
                continue
            latest = await itwin.imodels.get_latest_changeset(imodel.id)
            changeset_id = latest.id if latest else ""
            if manifest is None or manifest.changeset_id != changeset_id:
                changed[imodel.id.lower()] = changeset_id
    get_run_logger().info("%s iModels have changed since their last export.", len(changed))
    return changed


def _folder_of(imodel: IModel, output_dir: str | None) -> Path:
    return Path(output_dir or read_settings().output_dir).expanduser().absolute() / imodel.id.lower() / "ifc"


def _is_older(imodel: IModel, manifest: Manifest | None) -> bool:
    """True if the last push ended before the export can have begun."""
    pushed = imodel.last_changeset_push_date_time
    return manifest is not None and isinstance(pushed, datetime) and pushed < manifest.created_at - LONGEST_EXPORT


def announcement_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001  Prefect's shape
    """Cache key: one event for each changeset of an iModel."""
    return f"announced-{parameters['imodel_id']}-{parameters['changeset_id'] or 'baseline'}"


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    cache_key_fn=announcement_key,
    cache_expiration=REMINDED_AFTER,  # a failed export is started again after a day, not every ten minutes
    persist_result=True,
    result_serializer="json",
)
async def announce_change(imodel_id: str, changeset_id: str) -> str:
    """Emit the event once for each changeset; returns the time (ISO 8601, UTC) at which it was emitted."""
    await emit_change(imodel_id, reason="watch-imodels", changeset_id=changeset_id or None)
    return datetime.now(UTC).isoformat()
