"""A batch in shards, with a real Prefect server; the tests act as the workers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Failed, Running

from blocks.errors import ConfigurationError
from blocks.itwin.models import IModel
from deployments.sandbox.state.seed import SEEDED
from flows.export_itwin import export_itwin
from tasks.batch.options import BatchRequest
from tasks.batch.reports import keep_batch_report
from tasks.batch.shards import SHARD_DEPLOYMENT, Shard, ShardCoordinator, find_deployment, partition
from tasks.reports import BatchReport
from tests.tasks.run_specs import LOG

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

DONE = BatchReport(itwin_id="itwin", exported=1, skipped=0, failed=0)
ONE = ("model-1",)


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncGenerator[PrefectClient]:
    async with get_client() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def deployment(client: PrefectClient) -> AsyncGenerator[UUID]:
    """The deployment of shards, without a worker."""
    flow_id = await client.create_flow(export_itwin)
    made = await client.create_deployment(flow_id, SHARD_DEPLOYMENT.partition("/")[2])
    yield made
    await client.delete_deployment(made)


@pytest.fixture
def coordinator(client: PrefectClient, deployment: UUID, tmp_path: Path) -> ShardCoordinator:
    """A coordinator that polls every 0.1 s and treats a flow run as crashed after one second without a heartbeat."""
    request = BatchRequest(
        itwin_id=SEEDED.itwin,
        formats=("ifc",),
        imodel_ids=frozenset(),
        name_contains="",
        max_active=10,
        shards=2,
        output_dir=tmp_path,
        options={"force": True, "saved_view_id": None},
    )
    return ShardCoordinator(client, request, deployment, str(uuid4()), LOG, stale_seconds=1, poll_seconds=0.1)


async def dispatched(client: PrefectClient, shard: Shard, before: Sequence[UUID] = ()) -> FlowRun:
    """Wait until a shard has a flow run that is not among `before`."""
    while shard.flow_run_id is None or shard.flow_run_id in before:  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.02)
    return await client.read_flow_run(shard.flow_run_id)


async def test_every_imodel_is_in_one_shard() -> None:
    """Shards differ in size by at most one, contain every iModel once, and are never empty."""
    imodels = [IModel(id=f"MODEL-{number}") for number in range(7)]
    assert [len(shard.imodel_ids) for shard in partition(imodels, 3)] == [3, 2, 2]
    assert sorted(one for shard in partition(imodels, 3) for one in shard.imodel_ids) == [
        f"model-{n}" for n in range(7)
    ]
    assert len(partition(imodels[:2], 5)) == 2


async def test_a_shard_brings_its_report(coordinator: ShardCoordinator, client: PrefectClient, tmp_path: Path) -> None:
    """A flow run gets its iModels, the batch's options and half of its start rate; its report is returned."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    asked = run.parameters
    keep_batch_report(tmp_path, str(run.id), DONE)
    await client.set_flow_run_state(run.id, Completed(), force=True)
    assert await following == DONE
    assert (asked["imodel_ids"], asked["max_active"], asked["force"]) == (list(ONE), 5, True)
    assert "saved_view_id" not in asked
    assert (asked["fail_when"], asked["output_dir"]) == ("never", str(tmp_path))


async def test_a_shard_without_heartbeat_is_dispatched_again(
    coordinator: ShardCoordinator, client: PrefectClient, tmp_path: Path
) -> None:
    """A flow run without a heartbeat is set to Crashed, and its shard is dispatched again."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    first = await dispatched(client, shard)
    await client.set_flow_run_state(first.id, Running(), force=True)
    second = await dispatched(client, shard, [first.id])
    keep_batch_report(tmp_path, str(second.id), DONE)
    await client.set_flow_run_state(second.id, Completed(), force=True)
    assert await following == DONE
    state = (await client.read_flow_run(first.id)).state
    assert state is not None
    assert state.is_crashed()
    assert second.parameters == first.parameters


async def test_a_shard_that_waits_for_a_worker_is_not_given_up(
    coordinator: ShardCoordinator, client: PrefectClient
) -> None:
    """A flow run that is still scheduled is waited for without a time limit."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    await asyncio.sleep(3 * coordinator.stale_seconds)
    assert shard.flow_run_id == run.id
    await client.set_flow_run_state(run.id, Failed(message="no credentials"), force=True)
    await following


@pytest.mark.parametrize("data", ["half", "nan", "inf", None, "1e999", {"percent": 4}])
async def test_progress_that_is_no_number_changes_nothing(
    data: object, coordinator: ShardCoordinator, client: PrefectClient, tmp_path: Path
) -> None:
    """A progress artifact that holds no number leaves the shard's progress as it was, and the batch goes on."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    for progress in (40.0, data):
        await client.create_artifact(ArtifactCreate(type="progress", data=progress, flow_run_id=run.id))
    await asyncio.sleep(5 * coordinator.poll_seconds)
    assert shard.percent == 40.0
    keep_batch_report(tmp_path, str(run.id), DONE)
    await client.set_flow_run_state(run.id, Completed(), force=True)
    assert await following == DONE


async def test_a_failed_shard_says_why(coordinator: ShardCoordinator, client: PrefectClient) -> None:
    """A flow run that failed is not repeated; each of its iModels is reported with the reason."""
    shard = Shard(1, ("model-1", "model-2"))
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    await client.set_flow_run_state(run.id, Failed(message="There is no block “x”."), force=True)
    report = await following
    assert report.failed == 2
    assert all("There is no block “x”." in failure.error for failure in report.failures)


async def test_a_report_in_another_folder_is_explained(coordinator: ShardCoordinator, client: PrefectClient) -> None:
    """If workers do not share the output folder, the report says so."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    await client.set_flow_run_state(run.id, Completed(), force=True)
    (failure,) = (await following).failures
    assert "ITWIN_OUTPUT_DIR" in failure.error


async def test_a_retried_batch_finds_its_own_shards(coordinator: ShardCoordinator, client: PrefectClient) -> None:
    """A retry of a batch uses the flow runs that its first attempt created."""
    runs: list[UUID] = []
    for _ in range(2):
        shard = Shard(1, ONE)
        following = asyncio.create_task(coordinator.report_of(shard))
        runs.append((await dispatched(client, shard)).id)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert runs[0] == runs[1]


async def test_a_cancelled_batch_cancels_its_shards(coordinator: ShardCoordinator, client: PrefectClient) -> None:
    """Cancelling a batch cancels its active flow runs."""
    shard = Shard(1, ONE)
    following = asyncio.create_task(coordinator.report_of(shard))
    run = await dispatched(client, shard)
    await client.set_flow_run_state(run.id, Running(), force=True)
    await coordinator.cancel([shard])
    following.cancel()
    state = (await client.read_flow_run(run.id)).state
    assert state is not None
    assert state.name == "Cancelling"


async def test_a_server_without_the_deployment_is_explained(client: PrefectClient) -> None:
    """Without the deployment of shards the message says how to apply it."""
    with pytest.raises(ConfigurationError, match="deploy --all"):
        await find_deployment(client)
