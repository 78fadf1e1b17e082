"""Spread a batch over several flow runs (shards): dispatch, monitor, and dispatch again after a worker has died.

A shard that is dispatched twice starts no second export run: the new flow run finds the export runs of the first.
"""

import asyncio
import contextlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterType,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling, Crashed

from blocks.errors import ConfigurationError
from blocks.itwin.models import IModel
from blocks.prefect_server.errors import prefect_errors
from blocks.prefect_server.staleness import StalenessDetector
from blocks.settings import read_settings
from tasks.batch.finished_event import SHARD_TAG
from tasks.batch.options import BatchRequest
from tasks.batch.reports import read_shared_report
from tasks.batch.shown_batch import progress_key
from tasks.polling import Log
from tasks.progress_artifact import shown
from tasks.reports import BatchFailure, BatchReport

SHARD_DEPLOYMENT = "export-itwin/shard"
"""A separate deployment: with the batch's own, its concurrency limit could make a batch wait for itself."""
TRIES = 3
POLL_SECONDS = 3.0
ACTIVE_STATES = frozenset({"PENDING", "RUNNING"})


@dataclass
class Shard:
    """Some iModels of a batch, and the flow run that exports them; `percent` is from 0 to 100."""

    number: int
    imodel_ids: tuple[str, ...]
    percent: float = 0.0
    flow_run_id: UUID | None = None


@dataclass
class ShardProgress:
    """Progress of all shards of a batch."""

    shards: Sequence[Shard]

    def __str__(self) -> str:
        return ", ".join(f"shard {shard.number}: {shard.percent:.0f} %" for shard in self.shards)

    @property
    def percent(self) -> float:
        """Share of the exports that have ended, from 0 to 100, weighted by the number of iModels in each shard."""
        total = sum(len(shard.imodel_ids) for shard in self.shards)
        return sum(shard.percent * len(shard.imodel_ids) for shard in self.shards) / total if total else 100.0


async def export_in_shards(request: BatchRequest, imodels: Sequence[IModel]) -> BatchReport:
    """Dispatch the iModels to `request.shards` flow runs of the shard deployment, and merge their reports.

    Raises:
        ConfigurationError: The Prefect server does not have the deployment `export-itwin/shard`.
        asyncio.CancelledError: The batch was cancelled; its shards are cancelled too.
    """
    shards = partition(imodels, request.shards)
    async with get_client() as client:
        coordinator = ShardCoordinator(
            client,
            request,
            await find_deployment(client),
            str(flow_run.get_id()),
            get_run_logger(),
            stale_seconds=read_settings().shard_silence_seconds,
        )
        async with shown(ShardProgress(shards), progress_key(request)):
            try:
                reports = await asyncio.gather(*(coordinator.report_of(shard) for shard in shards))
            except asyncio.CancelledError:
                await asyncio.shield(coordinator.cancel(shards))
                raise
    return _merge(request.itwin_id, reports)


def partition(imodels: Sequence[IModel], shards: int) -> list[Shard]:
    """Divide the iModels into shards whose sizes differ by at most one; a shard is never empty."""
    ids = [imodel.id.lower() for imodel in imodels]
    slices = [tuple(ids[number::shards]) for number in range(shards)]
    return [Shard(number, chosen) for number, chosen in enumerate(slices, start=1) if chosen]


@dataclass
class ShardCoordinator:
    """Dispatches shards, monitors their flow runs, and dispatches a shard again when its flow run has crashed.

    Args:
        batch_id: Id of the batch's flow run; part of the idempotency key, so a retry finds the same shards.
        stale_seconds: A flow run whose heartbeat (progress and state) has not changed for so long counts as crashed.
        poll_seconds: Pause between two reads of a flow run.
    """

    client: PrefectClient
    request: BatchRequest
    deployment_id: UUID
    batch_id: str
    log: Log
    stale_seconds: float
    poll_seconds: float = POLL_SECONDS

    async def report_of(self, shard: Shard) -> BatchReport:
        """Dispatch a shard and return its report; after a crash it is dispatched again, up to `TRIES` times in all."""
        problem = ""
        for attempt in range(1, TRIES + 1):
            run = await self._dispatch(shard, attempt)
            state = await self._wait_for_end(shard, run.id)
            if (report := await asyncio.to_thread(read_shared_report, self.request, str(run.id))) is not None:
                shard.percent = 100.0
                return report
            problem = (
                f"Shard {shard.number} (flow run {run.name}) ended as {state.name}: {state.message or 'no reason'}"
            )
            if state.is_completed():
                problem = (
                    f"Shard {shard.number} has ended, and its report is not in {self.request.output}. "
                    f"All workers must share that folder: set ITWIN_OUTPUT_DIR to shared storage."
                )
            if not state.is_crashed():
                break
            self.log.warning("%s. Its iModels are dispatched again.", problem)
        return self._failed_report(shard, problem)

    async def cancel(self, shards: Sequence[Shard]) -> None:
        """Cancel the active shards; their export runs continue at the platform, and the next batch finds them."""
        for shard in shards:
            if shard.flow_run_id is not None:
                with contextlib.suppress(httpx.HTTPError):
                    await self.client.set_flow_run_state(shard.flow_run_id, Cancelling())

    async def _dispatch(self, shard: Shard, attempt: int) -> FlowRun:
        """Create the flow run of a shard; a retry of this batch gets the same flow run."""
        with prefect_errors(f"Dispatch shard {shard.number}"):
            run = await self.client.create_flow_run_from_deployment(
                self.deployment_id,
                name=f"shard-{shard.number}-of-{self.request.shards}-{self.request.itwin_id}",
                parameters=self._parameters(shard),
                tags=[SHARD_TAG],
                idempotency_key=f"{self.batch_id}-{shard.number}-{attempt}",
                job_variables={"env": self._environment()},
            )
        shard.flow_run_id = run.id
        return run

    def _environment(self) -> dict[str, str]:
        """Environment of a shard: a shared request budget, and its part of the task runs per second."""
        share = read_settings().task_runs_per_second / self.request.shards
        return {"ITWIN_SHARE_REQUESTS": "true", "ITWIN_TASK_RUNS_PER_SECOND": f"{share:g}"}

    def _parameters(self, shard: Shard) -> dict[str, Any]:
        """Parameters of the flow run, without None: the server rejects null for string parameters."""
        return {
            **{name: value for name, value in self.request.options.items() if value is not None},
            "itwin_id": self.request.itwin_id,
            "formats": list(self.request.formats),
            "imodel_ids": list(shard.imodel_ids),
            "max_active": max(1, round(self.request.max_active / self.request.shards)),
            "output_dir": self.request.output,
            "fail_when": "never",
        }

    async def _wait_for_end(self, shard: Shard, flow_run_id: UUID) -> State[Any]:
        """Wait for the final state of a flow run; one whose heartbeat is stale is set to Crashed."""
        detector = StalenessDetector(self.stale_seconds)
        while True:
            await asyncio.sleep(self.poll_seconds)
            with contextlib.suppress(httpx.HTTPError):  # a failed read is repeated at the next poll
                state = (await self.client.read_flow_run(flow_run_id)).state
                if state is None:
                    continue
                if state.is_final():
                    shard.flow_run_id = None
                    return state
                heartbeat = await self._heartbeat_of(shard, flow_run_id, state)
                if state.type.value in ACTIVE_STATES and detector.is_stale(heartbeat):
                    crashed = Crashed(message=f"No heartbeat for {self.stale_seconds:.0f} seconds.")
                    await self.client.set_flow_run_state(flow_run_id, crashed, force=True)

    async def _heartbeat_of(self, shard: Shard, flow_run_id: UUID, state: State[Any]) -> Hashable:
        """The state id and the progress artifact's time of update, which change while the flow run has a process."""
        found = await self.client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]), type=ArtifactFilterType(any_=["progress"])
            )
        )
        for artifact in found:
            shard.percent = _percent_of(artifact.data, else_=shard.percent)
        return state.id, *((artifact.id, artifact.updated) for artifact in found)

    def _failed_report(self, shard: Shard, problem: str) -> BatchReport:
        failures = tuple(
            BatchFailure(imodel_id=imodel_id, format=chosen, error=problem)
            for imodel_id in shard.imodel_ids
            for chosen in self.request.formats
        )
        return BatchReport(
            itwin_id=self.request.itwin_id, exported=0, skipped=0, failed=len(failures), failures=failures
        )


def _percent_of(data: object, *, else_: float) -> float:
    """The number in a progress artifact, which anyone with the server's password may have changed."""
    try:
        percent = float(str(data))
    except ValueError:
        return else_
    return min(max(percent, 0.0), 100.0) if math.isfinite(percent) else else_


async def find_deployment(client: PrefectClient) -> UUID:
    """The id of the deployment `export-itwin/shard`.

    Raises:
        ConfigurationError: The Prefect server does not have it.
    """
    try:
        return (await client.read_deployment_by_name(SHARD_DEPLOYMENT)).id
    except ObjectNotFound:
        raise ConfigurationError(
            f"Shards need the deployment {SHARD_DEPLOYMENT} and workers that serve it. Apply it with "
            f"“prefect --no-prompt deploy --all” to the server of PREFECT_API_URL, or leave out shards."
        ) from None


def _merge(itwin_id: str, reports: Sequence[BatchReport]) -> BatchReport:
    return BatchReport(
        itwin_id=itwin_id,
        exported=sum(report.exported for report in reports),
        skipped=sum(report.skipped for report in reports),
        failed=sum(report.failed for report in reports),
        rejected=sum(report.rejected for report in reports),
        reports=tuple(one for report in reports for one in report.reports),
        failures=tuple(one for report in reports for one in report.failures),
    )
