"""Look at what suspended flow runs wait for, and resume those whose wait has ended."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort

from blocks.errors import ExportError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.mesh_models import MeshExport
from tasks.polling import Log
from tasks.released.wait import ReleasedWait, released_wait_of
from tasks.retry import retries_after

PAGE = 200
FLOWS = ["export-ifc", "export-mesh"]
FOLLOWER_FLOW = "follow-runs"
OFTEN = timedelta(minutes=10)
"""Until this age a remote run is looked at each time; later each time that it is a tenth older."""


@dataclass(frozen=True)
class SuspendedRun:
    """A flow run that waits without a process."""

    flow_run_id: UUID
    name: str
    credentials: str
    export_type: str
    wait: ReleasedWait

    def is_due(self, last_look: datetime | None, now: datetime) -> bool:
        """True if the age of the remote run has grown by a tenth since it was last read, or its deadline has passed."""
        age = now - self.wait.since
        if now >= self.wait.deadline or age <= OFTEN or last_look is None:
            return True
        return _tenths(age) > _tenths(last_look - self.wait.since)

    def is_served_by(self, exports: Sequence[MeshExport]) -> bool:
        """True if tiles that were waited for are complete, or none of them can come to be any more."""
        fitting = [
            one
            for one in exports
            if one.is_of(self.wait.changeset_id, self.export_type) and self.wait.export_id in {"", one.id}
        ]
        return any(one.is_complete for one in fitting) or (bool(fitting) and all(one.is_invalid for one in fitting))


async def find_suspended(client: PrefectClient) -> list[SuspendedRun]:
    """The flow runs of this server that were suspended by `while_waiting=release`."""
    flows = FlowFilter(name=FlowFilterName(any_=FLOWS))
    paused = FlowRunFilterState(
        type=FlowRunFilterStateType(any_=[StateType.PAUSED]), name=FlowRunFilterStateName(any_=["Suspended"])
    )
    found: list[SuspendedRun] = []
    read = 0
    while page := await client.read_flow_runs(
        flow_filter=flows,
        flow_run_filter=FlowRunFilter(state=paused),
        sort=FlowRunSort.ID_DESC,
        limit=PAGE,
        offset=read,
    ):
        read += len(page)
        found += [one for flow_run in page if (one := _suspended(flow_run))]
    return found


async def find_last_look(client: PrefectClient) -> datetime | None:
    """When the last finished run of `follow-runs` began."""
    runs = await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FOLLOWER_FLOW])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED]))
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=1,
    )
    return runs[0].start_time if runs else None


@task(**retries_after(1, 3, 8), cache_policy=NO_CACHE, persist_result=False)
async def due_runs(last_look: datetime | None) -> tuple[list[SuspendedRun], int]:
    """The suspended flow runs whose remote run is to be looked at now, and how many there are in all.

    Args:
        last_look: When this process looked last; None to ask the server when another one did.
    """
    async with get_client() as client:
        last_look = last_look or await find_last_look(client)
        suspended = await find_suspended(client)
    now = datetime.now(UTC)
    return [one for one in suspended if one.is_due(last_look, now)], len(suspended)


def by_credentials(runs: Iterable[SuspendedRun]) -> dict[str, list[SuspendedRun]]:
    """The flow runs of each credentials block."""
    ordered = sorted(runs, key=lambda one: one.credentials)
    return {name: list(group) for name, group in groupby(ordered, key=lambda one: one.credentials)}


@task(**retries_after(1, 3, 8), cache_policy=NO_CACHE, persist_result=False)
async def find_ended(credentials: ItwinCredentials, runs: Sequence[SuspendedRun]) -> list[SuspendedRun]:
    """Those whose wait has ended: the remote run ended or is gone, may not be read, or the deadline has passed."""
    async with credentials.get_client() as itwin:
        return await ended_among(itwin, runs, get_run_logger())


async def ended_among(itwin: ItwinApis, runs: Sequence[SuspendedRun], log: Log) -> list[SuspendedRun]:
    """The same, eight reads at once."""

    async def is_to_go_on(one: SuspendedRun) -> bool:
        try:
            return await _has_ended(itwin, one)
        except ExportError as error:
            if error.is_transient:
                log.warning("%s is looked at next time. %s", one.name, error)
            return not error.is_transient  # the flow run says better what has happened

    with ExitStack() as searches:
        for _ in (one for one in runs if one.wait.format == "mesh"):
            searches.enter_context(itwin.mesh_listings.joined())
        found = await asyncio.gather(*map(is_to_go_on, runs))
    return [one for one, is_ready in zip(runs, found, strict=True) if is_ready]


@task(cache_policy=NO_CACHE, persist_result=False)
async def resume(run: SuspendedRun) -> bool:
    """Resume a flow run; true if this call did it, false if it had been resumed or ended before."""
    async with get_client() as client:
        answer = await client.resume_flow_run(run.flow_run_id)
    if answer.status is not SetStateStatus.ACCEPT:
        return False
    get_run_logger().info("Resumed %s: %s has ended.", run.name, run.wait)
    return True


async def _has_ended(itwin: ItwinApis, run: SuspendedRun) -> bool:
    wait = run.wait
    if itwin.client.server_now() >= wait.deadline:
        return True
    async with itwin.poll_slots:
        if wait.format == "ifc":
            return (await itwin.exports.get_run(wait.connection_id, wait.export_id)).is_finished
        return run.is_served_by(await _mesh_exports(itwin, wait.imodel_id, run.export_type))


async def _mesh_exports(itwin: ItwinApis, imodel_id: str, export_type: str) -> list[MeshExport]:
    """Those of an iModel: where many are looked for, one list of all iModels serves them together."""
    listed = await itwin.mesh_listings.exports_of(imodel_id, export_type)
    return listed or [one async for one in itwin.meshes.list_exports(imodel_id, export_type=export_type)]


def _suspended(flow_run: FlowRun) -> SuspendedRun | None:
    wait = released_wait_of(flow_run.state)
    if wait is None:
        return None
    asked = flow_run.parameters
    credentials, export_type = str(asked.get("credentials", "default")), str(asked.get("export_type", "3DTiles"))
    return SuspendedRun(flow_run.id, flow_run.name, credentials, export_type, wait)


def _tenths(age: timedelta) -> int:
    """How often the age has grown by a tenth."""
    return math.floor(math.log(max(age / OFTEN, 1)) / math.log(1.1))
