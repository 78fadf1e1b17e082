"""Export runs of ours that nobody follows: their flow runs ended early, and the platform cannot cancel a run."""

from collections.abc import AsyncIterator, Container, Iterable
from datetime import datetime

from prefect import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypes
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from pydantic import BaseModel, ConfigDict

from blocks.itwin.credentials import Itwin, ItwinCredentials
from blocks.itwin.errors import NotAuthorizedError, NotFoundError
from blocks.itwin.models import ExportRun

OWN_CONNECTION = "itwin-export "
FOLLOWERS = ["export-ifc", "export-itwin"]
FOLLOWING = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
PAGE = 200


class OrphanedRun(BaseModel):
    """An active export run on one of our connections that no flow run follows."""

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    connection_id: str
    connection_name: str
    run_id: str
    state: str
    started_at: datetime | None


async def find_orphans(credentials: ItwinCredentials, imodel_ids: Iterable[str]) -> list[OrphanedRun]:
    """Active runs on connections of ours that no flow run of this Prefect server follows.

    An iModel that the caller cannot see has none. The command that started such a run picks it up again.
    """
    followed = await read_followed()
    async with credentials.get_client() as itwin:
        wanted = [name.lower() for name in dict.fromkeys(imodel_ids) if name.lower() not in followed]
        return [orphan for imodel_id in wanted async for orphan in _active_runs(itwin, imodel_id, followed)]


async def read_followed() -> set[str]:
    """Ids of the iModels and iTwins whose export a flow run works on."""
    flows = FlowFilter(name=FlowFilterName(any_=FOLLOWERS))
    states = FlowRunFilter(state=FlowRunFilterState(type=StateTypes(any_=FOLLOWING)))
    found, seen = set[str](), 0
    async with get_client() as client:
        while page := await client.read_flow_runs(
            flow_filter=flows, flow_run_filter=states, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=seen
        ):
            for flow_run in page:
                named = (flow_run.parameters.get("imodel_id"), flow_run.parameters.get("itwin_id"))
                found.update(str(name).strip().lower() for name in named if name)
            seen += len(page)
    return found


async def _active_runs(itwin: Itwin, imodel_id: str, followed: Container[str]) -> AsyncIterator[OrphanedRun]:
    try:
        async for connection in itwin.exports.list_connections(imodel_id):
            name = connection.display_name or ""
            if not name.startswith(OWN_CONNECTION) or (connection.itwin_id or "").lower() in followed:
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
