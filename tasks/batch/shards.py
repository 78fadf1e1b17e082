"""A batch spread over several flow runs: slices handed out, followed, and handed out again where a worker died.

Whatever is handed out twice is exported once: the second takes up what the first began.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from blocks.settings import read_settings
from tasks.batch.options import BatchRequest
from tasks.batch.progress import shown
from tasks.batch.reports import read_batch_report
from tasks.polling import Log
from tasks.reports import BatchFailure, BatchReport

SHARD_DEPLOYMENT = "export-itwin/shard"
"""A deployment of its own: a limit on the parent's would let a batch wait for itself."""
TRIES = 3
LOOK_SECONDS = 3.0
AT_WORK = frozenset({"PENDING", "RUNNING"})


@dataclass
class Shard:
    """A slice of a batch, and the flow run that works on it."""

    number: int
    imodel_ids: tuple[str, ...]
    percent: float = 0.0
    flow_run_id: UUID | None = None


@dataclass
class ShardProgress:
    """How the shards of a batch stand."""

    shards: Sequence[Shard]

    def __str__(self) -> str:
        return ", ".join(f"shard {shard.number}: {shard.percent:.0f} %" for shard in self.shards)

    @property
    def percent(self) -> float:
        """How much is over, weighed by the size of the slices."""
        total = sum(len(shard.imodel_ids) for shard in self.shards)
        return sum(shard.percent * len(shard.imodel_ids) for shard in self.shards) / total if total else 100.0


async def export_in_shards(request: BatchRequest, imodels: Sequence[IModel]) -> BatchReport:
    """Hand the iModels out to so many flow runs of the shard deployment, and collect their reports.

    Raises:
        ConfigurationError: The Prefect server has no such deployment.
        asyncio.CancelledError: The batch was cancelled, and its shards with it.
    """
    shards = partition(imodels, request.shards)
    async with get_client() as client:
        coordinator = ShardCoordinator(
            client,
            request,
            await find_deployment(client),
            str(flow_run.get_id()),
            get_run_logger(),
            silence_seconds=read_settings().shard_silence_seconds,
        )
        async with shown(ShardProgress(shards), request.itwin_id):
            try:
                reports = await asyncio.gather(*(coordinator.report_of(shard) for shard in shards))
            except asyncio.CancelledError:
                await asyncio.shield(coordinator.cancel(shards))
                raise
    return _merge(request.itwin_id, reports)


def partition(imodels: Sequence[IModel], shards: int) -> list[Shard]:
    """Slices of the same size, give or take one; none is empty."""
    ids = [imodel.id.lower() for imodel in imodels]
    slices = [tuple(ids[number::shards]) for number in range(shards)]
    return [Shard(number, chosen) for number, chosen in enumerate(slices, start=1) if chosen]


@dataclass
class ShardCoordinator:
    """Hands shards out and sees to it that they come back.

    Args:
        batch_id: Of the flow run of the whole batch; its retries meet the same shards.
        silence_seconds: A flow run that shows no progress and changes no state for so long has lost its process.
    """

    client: PrefectClient
    request: BatchRequest
    deployment_id: UUID
    batch_id: str
    log: Log
    silence_seconds: float
    look_seconds: float = LOOK_SECONDS

    async def report_of(self, shard: Shard) -> BatchReport:
        """What came of a slice; a flow run whose process died is followed by another."""
        said = ""
        for attempt in range(1, TRIES + 1):
            run = await self._dispatch(shard, attempt)
            state = await self._ended(shard, run.id)
            if (report := read_batch_report(self.request.output_dir, str(run.id))) is not None:
                shard.percent = 100.0
                return report
            said = f"Shard {shard.number} (flow run {run.name}) ended as {state.name}: {state.message or 'no reason'}"
            if state.is_completed():
                said = (
                    f"Shard {shard.number} has ended, and its report is not in {self.request.output_dir}. "
                    f"All workers must share that folder: set ITWIN_OUTPUT_DIR to shared storage."
                )
            if not state.is_crashed():
                break
            self.log.warning("%s. Its iModels are handed out again.", said)
        return self._nothing_of(shard, said)

    async def cancel(self, shards: Sequence[Shard]) -> None:
        """Cancel whatever is at work; remote runs go on and the next batch picks them up."""
        for shard in shards:
            if shard.flow_run_id is not None:
                with contextlib.suppress(httpx.HTTPError):
                    await self.client.set_flow_run_state(shard.flow_run_id, Cancelling())

    async def _dispatch(self, shard: Shard, attempt: int) -> FlowRun:
        """The flow run for a slice; the same one when this batch is retried."""
        with prefect_errors(f"Hand out shard {shard.number}"):
            run = await self.client.create_flow_run_from_deployment(
                self.deployment_id,
                name=f"shard-{shard.number}-of-{self.request.shards}-{self.request.itwin_id}",
                parameters=self._parameters(shard),
                idempotency_key=f"{self.batch_id}-{shard.number}-{attempt}",
                job_variables={"env": self._environment()},
            )
        shard.flow_run_id = run.id
        return run

    def _environment(self) -> dict[str, str]:
        """Shards share the request budget, and what the Prefect server digests."""
        share = read_settings().task_runs_per_second / self.request.shards
        return {"ITWIN_SHARE_REQUESTS": "true", "ITWIN_TASK_RUNS_PER_SECOND": f"{share:g}"}

    def _parameters(self, shard: Shard) -> dict[str, Any]:
        """What differs from the defaults; the server refuses nothing where it expects text."""
        return {
            **{name: value for name, value in self.request.options.items() if value is not None},
            "itwin_id": self.request.itwin_id,
            "formats": list(self.request.formats),
            "imodel_ids": list(shard.imodel_ids),
            "max_active": max(1, round(self.request.max_active / self.request.shards)),
            "output_dir": str(self.request.output_dir),
            "fail_when": "never",
        }

    async def _ended(self, shard: Shard, flow_run_id: UUID) -> State[Any]:
        """The final state of a flow run; one that shows no sign of life is declared crashed."""
        watch = _IdleTimer()
        while True:
            await asyncio.sleep(self.look_seconds)
            with contextlib.suppress(httpx.HTTPError):  # a look that fails is made up for by the next
                state = (await self.client.read_flow_run(flow_run_id)).state
                if state is None:
                    continue
                if state.is_final():
                    shard.flow_run_id = None
                    return state
                sign = await self._sign_of_life(shard, flow_run_id, state)
                if state.type.value in AT_WORK and watch.seconds(sign) > self.silence_seconds:
                    crashed = Crashed(message=f"No sign of life for {self.silence_seconds:.0f} seconds.")
                    await self.client.set_flow_run_state(flow_run_id, crashed, force=True)

    async def _sign_of_life(self, shard: Shard, flow_run_id: UUID, state: State[Any]) -> object:
        """Anything that changes while a process works on it: its state, its progress artifact."""
        found = await self.client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]), type=ArtifactFilterType(any_=["progress"])
            )
        )
        for artifact in found:
            shard.percent = float(str(artifact.data))
        return state.id, [(artifact.id, artifact.updated) for artifact in found]

    def _nothing_of(self, shard: Shard, said: str) -> BatchReport:
        failures = tuple(
            BatchFailure(imodel_id=imodel_id, format=chosen, error=said)
            for imodel_id in shard.imodel_ids
            for chosen in self.request.formats
        )
        return BatchReport(
            itwin_id=self.request.itwin_id, exported=0, skipped=0, failed=len(failures), failures=failures
        )


@dataclass
class _IdleTimer:
    """For how long nothing has changed, by our own clock."""

    _sign: object = None
    _since: float = field(default_factory=time.monotonic)

    def seconds(self, sign: object) -> float:
        if sign != self._sign:
            self._sign, self._since = sign, time.monotonic()
        return time.monotonic() - self._since


async def find_deployment(client: PrefectClient) -> UUID:
    """The deployment that shards are flow runs of.

    Raises:
        ConfigurationError: The Prefect server has none.
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
        reports=tuple(one for report in reports for one in report.reports),
        failures=tuple(one for report in reports for one in report.failures),
    )
