"""Exports that wait without a process, under a real process worker, and the flow that resumes them."""

import asyncio
import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Cancelling

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from flows.follow_runs import follow_runs
from tasks.released.schedule import read_schedules
from tests.flows.foreign_runs import start_elsewhere
from tests.prefect_events import events_of
from tests.processes.server import REPOSITORY, PrefectServer
from tests.processes.workers import running_prefect_worker, settled_state

pytestmark = pytest.mark.asyncio(loop_scope="session")

POOL = "releasing-pool"
FLOWS = {"ifc": export_ifc, "mesh": export_mesh}
NEVER = 1e6


async def deploy_follower(client: PrefectClient) -> None:
    """The deployment of `follow-runs` with a schedule that is off, as in prefect.yaml, but without a worker."""
    if POOL not in {pool.name for pool in await client.read_work_pools()}:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    off = DeploymentScheduleCreate(schedule=CronSchedule(cron="* * * * *"), active=False)
    await client.create_deployment(await client.create_flow(follow_runs), "every-minute", schedules=[off])


async def start(client: PrefectClient, kind: str, sandbox: RunningSandbox, folder: Path) -> UUID:
    """A flow run of the deployment that releases its worker at once."""
    quick = {"ITWIN_POLL_SECONDS": "0.2", "ITWIN_RELEASE_AFTER_SECONDS": "0", "ITWIN_PREVIEW": "off"}
    deployment_id = await client.create_deployment(
        await client.create_flow(FLOWS[kind]),
        "releasing",
        work_pool_name=POOL,
        entrypoint=f"flows/export_{kind}.py:export_{kind}",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}],
        job_variables={"env": sandbox.environment | quick},
    )
    asked = {"imodel_id": SEEDED.bridge, "while_waiting": "release", "output_dir": str(folder)}
    return (await client.create_flow_run_from_deployment(deployment_id, parameters=asked)).id


def let_the_platform_finish(sandbox: RunningSandbox) -> None:
    """Whatever is being exported is done."""
    for run in sandbox.state.runs:
        run.seconds = 0
    for mesh in sandbox.state.meshes.exports.values():
        mesh.seconds = 0


@pytest.mark.parametrize("kind", ["ifc", "mesh"])
async def test_a_released_export_goes_on_when_the_platform_is_done(
    kind: str, server: PrefectServer, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """No process waits; too early nothing is resumed, afterwards once though two look; one export of one changeset.

    The changeset stays the one that was the latest at the start, also where another worker goes on with an empty disk:
    without the results of tasks, the records of runs and what was published before.
    """
    imodel = sandbox.state.imodels[SEEDED.bridge]
    imodel.run_seconds = imodel.mesh_seconds = NEVER
    asked_for = sandbox.state.push_changeset(SEEDED.bridge).id
    async with get_client() as client:
        await deploy_follower(client)
        with running_prefect_worker(server, POOL) as worker:
            run_id = await start(client, kind, sandbox, tmp_path / "exports")
            assert await settled_state(client, run_id, worker) == "Suspended"
            assert [schedule.is_active for schedule in await read_schedules(client)] == [True]
            assert await follow_runs() == []
            sandbox.state.push_changeset(SEEDED.bridge)
            shutil.rmtree(server.home / "storage")
            shutil.rmtree(tmp_path / "exports")
            let_the_platform_finish(sandbox)
            resumed = await asyncio.gather(follow_runs(), follow_runs())
            assert [*resumed[0], *resumed[1]] == [str(run_id)]
            assert await settled_state(client, run_id, worker) == "Completed"
    manifest = json.loads((tmp_path / "exports" / SEEDED.bridge / kind / "manifest.json").read_text())
    assert manifest["changeset_id"] == asked_for
    assert len(list(sandbox.state.runs)) == (1 if kind == "ifc" else 0)


async def pages_since_the_end(client: PrefectClient, run_id: UUID) -> list[str]:
    """What the pages of a flow run say that were made after it had ended."""
    ended = (await client.read_flow_run(run_id)).end_time
    assert ended
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    pages = await client.read_artifacts(artifact_filter=of_run)
    return [str(page.data) for page in pages if page.created and page.created > ended]


async def test_a_run_of_others_is_waited_for_without_a_process(
    server: PrefectServer, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """Ours is started after theirs has ended; cancelled without a process too, it leaves one page and one event."""
    exports = tmp_path / "exports"
    sandbox.state.imodels[SEEDED.bridge].run_seconds = NEVER
    theirs = await start_elsewhere(sandbox, SEEDED.bridge)
    async with get_client() as client:
        await deploy_follower(client)
        with running_prefect_worker(server, POOL) as worker:
            run_id = await start(client, "ifc", sandbox, exports)
            assert await settled_state(client, run_id, worker) == "Suspended"
            assert await follow_runs() == []
            let_the_platform_finish(sandbox)
            assert await follow_runs() == [str(run_id)]
            assert await settled_state(client, run_id, worker) == "Suspended"
            (ours,) = [run.id for run in sandbox.state.runs if run.id != theirs]
            await client.set_flow_run_state(run_id, Cancelling())
            assert await settled_state(client, run_id, worker) == "Cancelled"
        await follow_runs()
        await follow_runs()
        (page,) = await pages_since_the_end(client, run_id)
    assert f"Export run {ours} on connection" in page
    assert "goes on at the platform" in page
    (event,) = events_of(server.url, exports, 1)
    assert (event["event"], event["payload"]["flow_run"]["id"]) == ("itwin.export.cancelled", str(run_id))
