"""News about iModels as Prefect events: what starts `export-ifc/on-changes`."""

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
    """Tell Prefect that there is new data in an iModel; returns when the server has the event.

    Args:
        imodel_id: The iModel.
        reason: What told of it: the type of a webhook's event, or `watch-imodels`.
        changeset_id: The changeset it is about. `export-ifc/on-changes` exports that one; after pushes
            (`iModels.changesReady.v1`), of which several may be one event, the latest.

    `prefect.events.emit_event` would hand it to a thread and never say whether it arrived.
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
    cache_policy=NO_CACHE,  # a fresh look is the point
    persist_result=False,
)
async def find_changed(
    credentials: ItwinCredentials, itwin_id: str, imodel_ids: list[str] | None, output_dir: str | None
) -> dict[str, str]:
    """The iModels whose latest changeset is not the exported one, each with that changeset.

    An iModel last pushed to long before its export began needs no second look: one request tells the times of all.
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
    get_run_logger().info("%s iModels have changed since their export.", len(changed))
    return changed


def _folder_of(imodel: IModel, output_dir: str | None) -> Path:
    return Path(output_dir or read_settings().output_dir).expanduser().absolute() / imodel.id.lower() / "ifc"


def _is_older(imodel: IModel, manifest: Manifest | None) -> bool:
    """True if the push was over before the export can have begun."""
    pushed = imodel.last_changeset_push_date_time
    return manifest is not None and isinstance(pushed, datetime) and pushed < manifest.created_at - LONGEST_EXPORT


def announcement_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001  Prefect's shape
    """One announcement for each changeset of an iModel."""
    return f"announced-{parameters['imodel_id']}-{parameters['changeset_id'] or 'baseline'}"


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    cache_key_fn=announcement_key,
    cache_expiration=REMINDED_AFTER,  # an export that failed is started again after a day, not at every look
    persist_result=True,
    result_serializer="json",
)
async def announce_change(imodel_id: str, changeset_id: str) -> str:
    """Emit the event, once for each changeset; the moment it was."""
    await emit_change(imodel_id, reason="watch-imodels", changeset_id=changeset_id or None)
    return datetime.now(UTC).isoformat()
