"""Resume the flow runs that wait without a process (`while_waiting=release`) once the platform is done.

Requires: the credentials blocks of those flow runs, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import flow

from blocks.settings import read_settings
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from tasks.form_fields import titled
from tasks.ifc.run_heartbeat import report_detached_run
from tasks.load_blocks import load_credentials
from tasks.mesh.ended_export import report_ended_mesh
from tasks.released.cancelled_runs import find_cancelled
from tasks.released.schedule import stop_following
from tasks.released.suspended_runs import by_credentials, due_runs, find_ended, resume

REPORTS = ((export_ifc, report_detached_run), (export_mesh, report_ended_mesh))
"""What a flow run says at its cancellation, where it has a process."""


@flow(name="follow-runs", persist_result=False)
async def follow_runs(minutes: Annotated[float, titled("Minutes to look on")] = 0) -> list[str]:
    """Read the remote runs that suspended flow runs wait for, and resume the flow runs whose remote run has ended.

    The server and the platform hold all that this needs to know: two at once resume nothing twice, and the next one
    goes on where one has died.

    Args:
        minutes: Look again every few seconds (ITWIN_POLL_SECONDS) for so long; 0 looks once, for a schedule.
    """
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    await tell_cancelled()
    resumed, waiting = await follow_once(None)
    while (began := datetime.now(UTC)) < until:
        await asyncio.sleep(read_settings().poll_seconds)
        await tell_cancelled()
        more, waiting = await follow_once(began)
        resumed += more
    if not waiting:
        await stop_following()
    return resumed


async def follow_once(last_look: datetime | None) -> tuple[list[str], int]:
    """The ids of the flow runs that were resumed, and how many were suspended."""
    due, waiting = await due_runs(last_look)
    resumed: list[str] = []
    for name, runs in by_credentials(due).items():
        ended = await find_ended(await load_credentials(name), runs)
        resumed += [str(run.flow_run_id) for run in ended if await resume(run)]
    return resumed, waiting


async def tell_cancelled() -> None:
    """Page and event of the flow runs that were cancelled while they had no process that could tell of it."""
    for export, report in REPORTS:
        for flow_run in await find_cancelled(export.name):
            if flow_run.state is not None:
                await report(export, flow_run, flow_run.state)
