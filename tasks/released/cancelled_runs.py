"""Flow runs that were cancelled while they waited without a process: no process has said what goes on for them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort

from tasks.released.suspended_runs import PAGE
from tasks.released.wait import released_wait_of
from tasks.retry import retries_after

LOOK_BACK = timedelta(hours=1)
"""A cancelled flow run is found within this time; `follow-runs` looks every minute."""
CANCELLED = (StateType.CANCELLING, StateType.CANCELLED)


@task(**retries_after(1, 3, 8), cache_policy=NO_CACHE, persist_result=False)
async def find_cancelled(flow_name: str) -> list[FlowRun]:
    """Those that were cancelled in the last hour while they were suspended, and have no page that says so."""
    async with get_client() as client:
        return [one for one in await _cancelled_lately(client, flow_name) if await _is_untold(client, one)]


def was_suspended(states: Sequence[State[Any]]) -> bool:
    """True if the last state before the cancellation is that of a flow run that waits without a process."""
    before = [state for state in states if state.type not in CANCELLED]
    return bool(before) and released_wait_of(before[-1]) is not None


async def _cancelled_lately(client: PrefectClient, flow_name: str) -> list[FlowRun]:
    cancelled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLED]))
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow_name])),
        flow_run_filter=FlowRunFilter(
            state=cancelled, end_time=FlowRunFilterEndTime.model_validate({"after_": datetime.now(UTC) - LOOK_BACK})
        ),
        sort=FlowRunSort.END_TIME_DESC,
        limit=PAGE,
    )


async def _is_untold(client: PrefectClient, flow_run: FlowRun) -> bool:
    """A page that was made after the end tells of it."""
    if not was_suspended(await client.read_flow_run_states(flow_run.id)):
        return False
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
    ended = flow_run.end_time or datetime.now(UTC)
    return all((page.created or ended) < ended for page in await client.read_artifacts(artifact_filter=of_run))
