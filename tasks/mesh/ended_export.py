"""Write the page of a mesh export whose flow run was cancelled or has crashed."""

from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State

from tasks.addresses import read_subject
from tasks.export_progress import ExportProgress
from tasks.followed_export import show_ended

_GOES_ON = "The platform goes on making the tiles, if they had been asked for: run the same command to pick them up."


async def report_ended_mesh(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write the page that says what goes on at the platform; a hook of the flow for Cancelled and Crashed."""
    progress = ExportProgress("mesh", read_subject(flow_run.parameters.get("imodel_id"), "iModel"))
    await show_ended(flow, flow_run, state, progress, _GOES_ON)
