"""Flow runs of ours that look alive on the Prefect server although their process has gone."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

FLOWS = ["export-ifc", "export-itwin", "export-mesh", "watch-imodels"]
HEARTBEAT = "prefect.flow-run.heartbeat"
MISSED_HEARTBEATS = 3
PREFECTS_HEARTBEAT = timedelta(seconds=180)
"""PREFECT_FLOWS_HEARTBEAT_FREQUENCY where nobody sets it."""
LONGEST_PENDING = timedelta(minutes=10)
"""A worker on Kubernetes gives a pod up that has not started after five minutes."""
PAGE = 200
_OF_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
"""The variable by which a worker tells a process which flow run it executes."""


@dataclass(frozen=True)
class Tolerance:
    """How long a flow run may be silent: three heartbeats, and a little."""

    heartbeat: timedelta = PREFECTS_HEARTBEAT
    """Of the workers; what we start has one every 30 seconds."""
    leeway: timedelta = timedelta(seconds=60)
    longest_heartbeat: timedelta = PREFECTS_HEARTBEAT
    """Of any process with flow runs of ours."""

    def silence(self, beats: list[datetime]) -> timedelta:
        """After these heartbeats, newest first; a gap in which the machine slept counts as the longest interval.

        Until the second one, a run may be of a process that has them seldom.
        """
        longest = max(self.heartbeat, self.longest_heartbeat)
        if len(beats) > 1:
            return MISSED_HEARTBEATS * min(beats[0] - beats[1], longest) + self.leeway
        return max(MISSED_HEARTBEATS * self.heartbeat, longest) + self.leeway


DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True)
class LastHeartbeat:
    """The newest thing known of a flow run, and how long it may be silent afterwards."""

    flow_run: FlowRun
    at: datetime
    longest_silence: timedelta

    @property
    def silence(self) -> timedelta:
        """How long ago it was, by this machine's clock."""
        return datetime.now(UTC) - self.at


async def read_signs_of_life(client: PrefectClient, tolerance: Tolerance = DEFAULT_TOLERANCE) -> list[LastHeartbeat]:
    """The newest heartbeat of each flow run of ours that is Pending or Running."""
    found: list[LastHeartbeat] = []
    while True:
        page = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=FLOWS)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING]))
            ),
            limit=PAGE,
            offset=len(found),
        )
        found += [await _sign_of_life(client, flow_run, tolerance) for flow_run in page]
        if len(page) < PAGE:
            return found


async def find_cut_runs(client: PrefectClient) -> list[LastHeartbeat]:
    """Those that have been silent for too long, by this machine's clock."""
    return [sign for sign in await read_signs_of_life(client) if sign.silence > sign.longest_silence]


async def mark_crashed(client: PrefectClient, sign: LastHeartbeat) -> None:
    """Let the server know, which gives the slot of its deployment free too."""
    message = (
        f"No heartbeat since {sign.at:%Y-%m-%d %H:%M:%S} UTC: its process has gone. An export run that it followed "
        f"goes on at the platform; the next flow run with the same options picks it up."
    )
    await client.set_flow_run_state(sign.flow_run.id, Crashed(message=message))


async def _sign_of_life(client: PrefectClient, flow_run: FlowRun, tolerance: Tolerance) -> LastHeartbeat:
    """A Pending run has no heartbeat; a Running one tells by its last two how often it has one.

    While its process runs on this machine, a run is alive: after hours of sleep it has sent no heartbeat yet.
    """
    if _has_process_here(flow_run):
        return LastHeartbeat(flow_run, datetime.now(UTC), LONGEST_PENDING)
    since = flow_run.state.timestamp if flow_run.state else datetime.now(UTC)
    if flow_run.state is None or flow_run.state.is_pending():
        return LastHeartbeat(flow_run, since, LONGEST_PENDING)
    beats = [beat for beat in await _heartbeats(client, flow_run) if beat >= since]
    return LastHeartbeat(flow_run, beats[0] if beats else since, tolerance.silence(beats))


async def _heartbeats(client: PrefectClient, flow_run: FlowRun) -> list[datetime]:
    """The moments of the last two, newest first."""
    wanted = {"event": {"name": [HEARTBEAT]}, "resource": {"id": [f"prefect.flow-run.{flow_run.id}"]}, "order": "DESC"}
    answer = await client.request("POST", "/events/filter", json={"filter": wanted, "limit": 2})
    return [datetime.fromisoformat(event["occurred"]) for event in answer.json()["events"]]


def _has_process_here(flow_run: FlowRun) -> bool:
    """Whether a process that a worker of this machine started executes it."""
    pid = flow_run.infrastructure_pid or ""
    with suppress(psutil.Error):
        return pid.isdecimal() and psutil.Process(int(pid)).environ().get(_OF_FLOW_RUN) == str(flow_run.id)
    return False
