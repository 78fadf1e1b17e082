"""Find, request and wait for mesh exports."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from blocks.itwin.credentials import ItwinApis, ItwinCredentials
from tasks.export_progress import current_progress
from tasks.first_start import record_first_start
from tasks.mesh.finder import EnsuredMesh, MeshSearch
from tasks.mesh.options import MeshRequest, MeshSpec
from tasks.polling import read_poll_backoff
from tasks.released.wait import ReleasedWait, earlier_start, longest_wait
from tasks.retry import once_per_flow_run, retries_after


class RemoteMesh(BaseModel):
    """Complete tiles at the platform; holds no link."""

    model_config = ConfigDict(frozen=True)

    export_id: str
    result: str
    warnings: tuple[str, ...] = ()


async def build_mesh_spec(itwin: ItwinApis, request: MeshRequest, changeset_id: str) -> MeshSpec:
    """The tiles that are wanted, and since when."""
    now = await earlier_start(request.policy) or itwin.client.server_now()
    first_started = await record_first_start(str(request.folder), now)
    return MeshSpec(request=request, changeset_id=changeset_id, first_started=first_started)


@task(
    **once_per_flow_run(1, 2, 5, 10, 20, 40),
    retry_jitter_factor=0.3,
)
async def ensure_mesh_export(credentials: ItwinCredentials, spec: MeshSpec) -> EnsuredMesh:
    """Look whether there are tiles, made or being made, and request them as `start` says.

    The platform makes tiles by itself and discourages asking. Vendor page:
    https://developer.bentley.com/apis/mesh-export/operations/start-export/
    """
    current_progress().enter("waiting")
    async with credentials.get_client() as itwin:
        return await MeshSearch(itwin, spec, read_poll_backoff(), get_run_logger()).ensure()


@task(
    **retries_after(5, 15, 60),
    cache_policy=NO_CACHE,  # a fresh look is the point
    persist_result=False,
)
async def wait_for_mesh(credentials: ItwinCredentials, spec: MeshSpec, asked: EnsuredMesh) -> RemoteMesh | ReleasedWait:
    """The tiles once the platform has made them; what is to be waited for without a process.

    Raises:
        RunFailedError: The platform could not make them.
        NotFoundError: They were there and are gone.
        ExportTimeoutError: The deadline passed first; the platform goes on.
    """
    async with credentials.get_client() as itwin:
        search = MeshSearch(itwin, spec, read_poll_backoff(), get_run_logger(), asked.export_id)
        export = await search.complete_within(longest_wait(spec.policy))
    if export is None:
        return _released(spec, asked)
    current_progress().note_run(export.id)
    return RemoteMesh(export_id=export.id, result=str(export.status), warnings=asked.warnings)


def _released(spec: MeshSpec, asked: EnsuredMesh) -> ReleasedWait:
    return ReleasedWait(
        format="mesh",
        imodel_id=spec.request.imodel_id,
        changeset_id=spec.changeset_id,
        export_id=asked.export_id or "",
        since=spec.first_started,
        deadline=spec.first_started + spec.policy.timeout,
    )
