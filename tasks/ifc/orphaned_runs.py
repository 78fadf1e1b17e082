"""Find active export runs of this tool without a flow run: the platform has no operation to cancel a run."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prefect import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypes
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from pydantic import BaseModel, ConfigDict

from blocks.errors import NotAuthorizedError, NotFoundError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import ExportRun
from tasks.addresses import Kind, is_id, read_subject
from tasks.ifc.followed_runs import is_stale
from tasks.ifc.options import OWN_CONNECTION
from tasks.options import state_dir_of

FOLLOWERS = ["export-ifc", "export-itwin"]
FOLLOWING = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
PAGE = 200


class OrphanedRun(BaseModel):
    """An active export run on a connection of this tool that no flow run waits for."""

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    connection_id: str
    connection_name: str
    run_id: str
    state: str
    started_at: datetime | None


async def find_orphans(credentials: ItwinCredentials, imodel_ids: Iterable[str]) -> list[OrphanedRun]:
    """Find active runs on connections of this tool that no flow run of this Prefect server waits for.

    A flow run whose process was killed stays Running. It counts as a follower unless its heartbeat file in the output
    folder is stale. iModels that the caller may not see are skipped. The same export command finds such a run again.
    """
    followers = await read_followers()
    async with credentials.get_client() as itwin:
        wanted = dict.fromkeys(name.lower() for name in imodel_ids)
        return [orphan for imodel_id in wanted async for orphan in _active_runs(itwin, imodel_id, followers)]


@dataclass(frozen=True)
class Follower:
    """A flow run that exports an iModel or all iModels of an iTwin; `subjects` are their ids, or names."""

    flow_run_id: str
    subjects: frozenset[str]
    output_dir: str | None

    def follows(self, imodel_id: str, itwin_id: str) -> bool:
        """True if it exports this iModel and its heartbeat is not stale."""
        state_dir = state_dir_of(self.output_dir, imodel_id)
        is_meant = not self.subjects.isdisjoint({imodel_id.lower(), itwin_id.lower()})
        is_named = not all(map(is_id, self.subjects)) and state_dir.followed(self.flow_run_id).exists()
        return (is_meant or is_named) and not is_stale(state_dir, self.flow_run_id)


async def read_followers() -> list[Follower]:
    """Read the flow runs of export-ifc and export-itwin that have not ended."""
    flows = FlowFilter(name=FlowFilterName(any_=FOLLOWERS))
    states = FlowRunFilter(state=FlowRunFilterState(type=StateTypes(any_=FOLLOWING)))
    found: list[Follower] = []
    async with get_client() as client:
        while page := await client.read_flow_runs(
            flow_filter=flows, flow_run_filter=states, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=len(found)
        ):
            found += [_follower(flow_run) for flow_run in page]
    return found


def _follower(flow_run: FlowRun) -> Follower:
    asked = flow_run.parameters
    kinds: dict[str, Kind] = {"imodel_id": "iModel", "itwin_id": "iTwin"}
    subjects = frozenset(read_subject(asked[name], kind) for name, kind in kinds.items() if asked.get(name))
    return Follower(str(flow_run.id), subjects, asked.get("output_dir"))


async def _active_runs(itwin: ItwinApis, imodel_id: str, followers: Sequence[Follower]) -> AsyncIterator[OrphanedRun]:
    try:
        async for connection in itwin.exports.list_connections(imodel_id):
            name = connection.display_name or ""
            is_followed = any(one.follows(imodel_id, connection.itwin_id or "") for one in followers)
            if not name.startswith(OWN_CONNECTION) or is_followed:
                continue
            async for run in itwin.exports.list_runs(connection.id):
                if not run.is_finished:
                    yield _orphan(imodel_id, name, run)
    except (NotFoundError, NotAuthorizedError):
        return


def _orphan(imodel_id: str, connection_name: str, run: ExportRun) -> OrphanedRun:
    return OrphanedRun(
        imodel_id=imodel_id,
        connection_id=run.connection_id or "",
        connection_name=connection_name,
        run_id=run.id,
        state=str(run.state),
        started_at=run.start_date_time,
    )
