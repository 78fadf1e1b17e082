"""Records which export run a flow run follows, for messages after the flow run has ended.

The platform cannot cancel a run: it goes on when its flow run is cancelled, killed or interrupted. Prefect may call
the hook in another process, so what it says must be on disk, beside the records of requested runs.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger

from blocks.disk import disk_errors, write_whole
from tasks.addresses import read_subject
from tasks.export_progress import ExportProgress
from tasks.followed_export import show_ended
from tasks.ifc.followed_runs import FollowedRun, read_followed
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_records import RunRecords, records_of
from tasks.ifc.run_spec import RemoteRun
from tasks.options import Names, state_dirs_of
from tasks.state_dir import StateDir, prepare

HEARTBEAT_SECONDS = 30.0
GOES_ON, MAY_GO_ON, FINISHED = "goes on at the platform", "may go on at the platform", "has finished at the platform"


def record_followed(state_dir: StateDir, flow_run_id: str, followed: FollowedRun) -> None:
    """Record which run a flow run follows, and its state."""
    path = state_dir.followed(flow_run_id)
    with disk_errors(path.parent):
        prepare(path.parent)
        write_whole(path, followed.model_dump_json().encode())


@asynccontextmanager
async def heartbeat(state_dir: StateDir, flow_run_id: str) -> AsyncGenerator[None]:
    """Touch the file of the followed run every 30 s until the block ends; after a kill it becomes stale."""
    keeper = asyncio.create_task(_keep_fresh(state_dir.followed(flow_run_id)))
    try:
        yield
    finally:
        keeper.cancel()


def forget_followed(state_dir: StateDir, flow_run_id: str) -> None:
    """Delete the file, because the run has failed or does not exist."""
    state_dir.followed(flow_run_id).unlink(missing_ok=True)


def close_run(request: IfcRequest, flow_run_id: str, run: RemoteRun, *, reason: str) -> None:
    """Record the run as failed, so that the next export starts a new run and logs the reason."""
    records_of(request).note_run(run.connection_id, run.run_id, "failed", reason=reason)
    forget_followed(request.state_dir, flow_run_id)


def describe_remote_run(state_dir: StateDir, flow_run_id: str) -> str:
    """What the platform still does for a flow run that has ended early, and what to do; empty if that is nothing."""
    name, does = _remote_run(state_dir, flow_run_id)
    if not name:
        return ""
    if does == FINISHED:
        return f"{name} {does}. Run the same command again: it fetches that run's files."
    return (
        f"{name} {does}, which cannot cancel it. "
        f"Run the same command again: it picks that run up instead of starting another."
    )


def name_remote_run(state_dir: StateDir, flow_run_id: str) -> str:
    """The same without what to do, for a list of many."""
    name, does = _remote_run(state_dir, flow_run_id)
    return f"{name} {does}" if name else ""


def _remote_run(state_dir: StateDir, flow_run_id: str) -> tuple[str, str]:
    """The run of a flow run and what it does; the name is empty if there is none."""
    followed = read_followed(state_dir.followed(flow_run_id))
    if followed is None:
        return _requested_run(state_dir, flow_run_id)
    name = f"Export run {followed.run_id} on connection {followed.connection_id}"
    return name, FINISHED if followed.is_finished else GOES_ON


def describe_remote_run_of(parameters: Mapping[str, Any], flow_run_id: str) -> str:
    """The same for the parameters of the flow run: its iModel may be given by name."""
    state_dirs = state_dirs_of(parameters.get("output_dir"), str(parameters.get("imodel_id")))
    return next((said for state_dir in state_dirs if (said := describe_remote_run(state_dir, flow_run_id))), "")


async def report_detached_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Say in the log and on the page what the platform still does; Prefect's hook for flow runs that end early."""
    said = describe_remote_run_of(flow_run.parameters, str(flow_run.id))
    if said:
        flow_run_logger(flow_run, flow).warning(said)
    await show_ended(flow, flow_run, state, _progress_of(flow_run), said)


def _progress_of(flow_run: FlowRun) -> ExportProgress:
    """What a flow run that has ended had noted of its export."""
    imodel = read_subject(flow_run.parameters.get("imodel_id"), "iModel")
    progress = ExportProgress("ifc", imodel)
    for state_dir in state_dirs_of(flow_run.parameters.get("output_dir"), imodel):
        if noted := read_followed(state_dir.followed(str(flow_run.id))):
            progress.imodel_id, progress.names = state_dir.root.parent.name, Names(imodel=noted.imodel_name)
            progress.changeset_id = noted.changeset_id
            progress.note_run(noted.run_id, noted.connection_id)
    return progress


async def _keep_fresh(path: Path) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        _touch(path)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        if not path.is_symlink():
            os.utime(path)


def _requested_run(state_dir: StateDir, flow_run_id: str) -> tuple[str, str]:
    """The last request of this flow run whose run nobody waits for yet."""
    asked = [
        record
        for record in RunRecords(state_dir.runs).all()
        if record.asked_by == flow_run_id and record.outcome in {"asked", "started"}
    ]
    if not asked:
        return "", ""
    name = f"Export run {asked[-1].run_id}" if asked[-1].run_id else "An export run that was asked for"
    return f"{name} on connection {asked[-1].connection_id}", MAY_GO_ON
