"""Detect changes of iModels and emit them as Prefect events, which start `export-ifc/on-changes`."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.events import Event, Resource
from pydantic import BaseModel, ConfigDict

from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import IModel
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.manifest import Manifest, read_manifest
from tasks.imodel_selection import select_watched
from tasks.names import itwin_id_of, named_at
from tasks.options import LONGEST_TIMEOUT_MINUTES
from tasks.output_options import OutputOptions
from tasks.retry import retries_after

Watch = Literal["changesets", "named-versions"]
CHANGED = "itwin.imodel.changed"
REMINDED_AFTER = timedelta(days=1)
_READ_AT_ONCE = 16
LONGEST_EXPORT = timedelta(minutes=LONGEST_TIMEOUT_MINUTES)


async def emit_change(
    imodel_id: str, *, reason: str, changeset_id: str | None = None, named_version: str | None = None
) -> None:
    """Emit the event `itwin.imodel.changed`; returns when the Prefect server has accepted it.

    Args:
        imodel_id: The iModel.
        reason: Source of the change: the event type of a webhook, or `watch-imodels`.
        changeset_id: The changeset that the event names. `export-ifc/on-changes` exports it, except after a push
            (`iModels.changesReady.v1`): one event may stand for several pushes, so the latest is exported.
        named_version: Id of the named version that is to be exported, instead of a changeset.

    Raises:
        httpx.HTTPStatusError: The Prefect server rejected the event. `prefect.events.emit_event` sends in a background
            thread and reports no failure; therefore the request is made here.
    """
    event = Event(
        event=CHANGED,
        resource=Resource.model_validate({"prefect.resource.id": f"itwin.imodel.{imodel_id}"}),
        payload={
            "imodel_id": imodel_id,
            "changeset_id": changeset_id,
            "named_version": named_version,
            "reason": reason,
        },
    )
    async with get_client() as client:
        answer = await client.request("POST", "/events", json=[event.model_dump(mode="json")])
        answer.raise_for_status()


class FoundChange(BaseModel):
    """Something to export: a changeset, or a named version by its id; an empty changeset is the baseline."""

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    changeset_id: str
    named_version: str = ""


@task(
    **retries_after(1, 3, 8),
    cache_policy=NO_CACHE,  # the current state is needed
    persist_result=False,
)
async def find_changed(
    credentials: ItwinCredentials,
    itwin_subject: str,
    imodels: list[str] | None,
    output: OutputOptions,
    watch: Watch = "changesets",
) -> list[FoundChange]:
    """The changesets, or the named versions, of an iTwin that are to be exported.

    Args:
        credentials: Who reads.
        itwin_subject: Id or name of the iTwin.
        imodels: Ids or names of iModels; only these are watched.
        output: Where the exports are published; an object store is opened.
        watch: What is compared with the published exports.

    Raises:
        InputError: A name stands for no iModel, or for several.
        ExportError: The object store cannot be read.
    """
    find = _new_changesets if watch == "changesets" else _new_versions
    found: list[FoundChange] = []
    async with credentials.get_client() as itwin:
        itwin_id = await itwin_id_of(itwin, itwin_subject)
        listed = [imodel async for imodel in itwin.imodels.list_imodels(itwin_id)]
        watched = select_watched(imodels, listed, itwin_id)
        manifests = await asyncio.to_thread(_published, output, watched)
        for imodel, manifest in zip(watched, manifests, strict=True):
            found += await find(itwin, imodel, manifest)
    get_run_logger().info("%s %s are to be exported.", len(found), watch.replace("-", " "))
    return found


async def _new_changesets(itwin: ItwinApis, imodel: IModel, manifest: Manifest | None) -> list[FoundChange]:
    """The latest changeset, unless it is exported; only an iModel pushed to since needs a request of its own."""
    if _is_older(imodel, manifest):
        return []
    latest = await itwin.imodels.get_latest_changeset(imodel.id)
    changeset_id = latest.id if latest else ""
    if manifest is not None and manifest.changeset_id == changeset_id:
        return []
    return [FoundChange(imodel_id=imodel.id.lower(), changeset_id=changeset_id)]


async def _new_versions(itwin: ItwinApis, imodel: IModel, manifest: Manifest | None) -> list[FoundChange]:
    """The visible versions named after the one that is published, oldest first; the newest one if none is."""
    visible = [one async for one in itwin.imodels.list_named_versions(imodel.id) if not one.is_hidden]
    visible.sort(key=named_at)
    published = manifest.named_version if manifest else None
    if published is None:
        new = visible[-1:]
    else:
        since = published.created_at.timestamp() if published.created_at else 0.0
        new = [one for one in visible if named_at(one) > since and one.id != published.id]
    return [
        FoundChange(imodel_id=imodel.id.lower(), changeset_id=one.changeset_id or "", named_version=one.id)
        for one in new
    ]


def _published(output: OutputOptions, imodels: Sequence[IModel]) -> list[Manifest | None]:
    """The manifests of the published IFC exports of iModels."""

    def read(imodel: IModel) -> Manifest | None:
        key = f"{imodel.id.lower()}/ifc"
        if isinstance(place, Path):
            return read_manifest(place / key)
        return StoredExport(place, key, output.output_dir / key).see().manifest

    place = output.opened_output
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        return list(pool.map(read, imodels))


def _is_older(imodel: IModel, manifest: Manifest | None) -> bool:
    """True if the last push ended before the export can have begun."""
    pushed = imodel.last_changeset_push_date_time
    return manifest is not None and isinstance(pushed, datetime) and pushed < manifest.created_at - LONGEST_EXPORT


def announcement_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001  Prefect's shape
    """Cache key: one event for each changeset or named version of an iModel."""
    change: FoundChange = parameters["change"]
    return f"announced-{change.imodel_id}-{change.named_version or change.changeset_id or 'baseline'}"


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    cache_key_fn=announcement_key,
    cache_expiration=REMINDED_AFTER,  # a failed export is started again after a day, not every ten minutes
    persist_result=True,
    result_serializer="json",
)
async def announce_change(change: FoundChange) -> str:
    """Emit the event once for each change; returns the time (ISO 8601, UTC) at which it was emitted."""
    await emit_change(
        change.imodel_id,
        reason="watch-imodels",
        changeset_id=change.changeset_id or None,
        named_version=change.named_version or None,
    )
    return datetime.now(UTC).isoformat()
