"""Slots of our deployments' concurrency limits, and the flow runs that hold them."""

from dataclasses import dataclass

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse

from deployments.recovery.lost_flow_runs import FLOWS, PAGE

HOLDING = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
WAITING = "AwaitingRetry"
"""Such a run may or may not hold a slot, and the server does not tell."""


@dataclass(frozen=True)
class SlotMismatch:
    """A deployment whose limit counts other than there are flow runs that hold a slot."""

    deployment: str
    limit_name: str
    taken: int
    held: int


async def find_slot_mismatches(client: PrefectClient) -> list[SlotMismatch]:
    """Deployments of ours whose slots are taken by nobody, or not counted."""
    flows = FlowFilter(name=FlowFilterName(any_=FLOWS))
    deployments = await client.read_deployments(flow_filter=flows, limit=PAGE)
    found = [await _mismatch(client, deployment) for deployment in deployments if deployment.global_concurrency_limit]
    return [mismatch for mismatch in found if mismatch]


async def correct_slots(client: PrefectClient, mismatch: SlotMismatch) -> None:
    """Let the limit count the flow runs that hold a slot."""
    update = GlobalConcurrencyLimitUpdate(active_slots=mismatch.held)
    await client.update_global_concurrency_limit(mismatch.limit_name, update)


async def _mismatch(client: PrefectClient, deployment: DeploymentResponse) -> SlotMismatch | None:
    limit = deployment.global_concurrency_limit
    if limit is None or await _flow_runs(client, deployment, FlowRunFilterStateName(any_=[WAITING])):
        return None
    holders = await _flow_runs(client, deployment, FlowRunFilterStateType(any_=HOLDING))
    held = min(limit.limit, sum(_has_lease(flow_run) for flow_run in holders))
    if held == limit.active_slots:
        return None
    return SlotMismatch(deployment.name, limit.name, limit.active_slots, held)


async def _flow_runs(
    client: PrefectClient, deployment: DeploymentResponse, wanted: FlowRunFilterStateName | FlowRunFilterStateType
) -> list[FlowRun]:
    is_type = isinstance(wanted, FlowRunFilterStateType)
    state = FlowRunFilterState(type=wanted) if is_type else FlowRunFilterState(name=wanted)
    return await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(state=state),
        limit=PAGE,
    )


def _has_lease(flow_run: FlowRun) -> bool:
    return bool(flow_run.state and flow_run.state.state_details.deployment_concurrency_lease_id)
