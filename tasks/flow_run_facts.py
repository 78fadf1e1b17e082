"""What the page of a flow run says of the flow run itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from inspect import signature
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from tasks.pasted_command import FlowRunFacts, changed_parameters, command_of


def own_facts() -> FlowRunFacts:
    """Facts of the flow run that this code runs in."""
    context, flow_run = FlowRunContext.get(), own_flow_run()
    if context is None or context.flow is None:
        raise RuntimeError("There is no flow run here.")
    return facts_of(context.flow, flow_run, context.parameters or {})


def own_flow_run() -> FlowRun:
    """The flow run that this code runs in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("There is no flow run here.")
    return context.flow_run


def facts_of(flow: Flow[..., Any], flow_run: FlowRun, parameters: Mapping[str, Any]) -> FlowRunFacts:
    """Facts of a flow run."""
    changed = changed_parameters(signature(flow.fn), parameters)
    return FlowRunFacts(
        id=str(flow_run.id),
        repeat=command_of(flow.name, changed),
        changed=changed,
        scheduled_at=flow_run.expected_start_time,
        started_at=flow_run.start_time or datetime.now(UTC),
    )
