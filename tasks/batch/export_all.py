"""Many exports in one process: at a pace the Prefect server digests, and a bad one never stops the rest."""

import asyncio
import contextlib
import inspect
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prefect import get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from blocks.errors import BatchFailedError, ExportError, InputError, without_secrets
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import IModel
from blocks.settings import read_settings
from tasks.batch.options import BatchRequest, FailWhen
from tasks.batch.progress import shown
from tasks.batch.reports import keep_batch_report
from tasks.platform_slots import share_slots
from tasks.reports import BatchFailure, BatchReport, ExportFormat, ExportReport
from tasks.retry import is_transient

TASK_RUNS_PER_EXPORT = 8
SPARE_SHARE = 0.5
"""Exports in hand beyond those at the platform: what fetches or prepares leaves no place there empty."""

ItemStatus = Literal["waiting", "active", "exported", "skipped", "failed"]
STANDINGS: tuple[ItemStatus, ...] = ("waiting", "active", "exported", "skipped", "failed")
ExportFlow = Callable[..., Awaitable[ExportReport]]


@dataclass(frozen=True)
class BatchItem:
    """One export of a batch."""

    imodel: IModel
    format: ExportFormat


@dataclass
class Progress:
    """How a batch stands."""

    total: int
    standings: dict[BatchItem, ItemStatus] = field(default_factory=dict[BatchItem, ItemStatus])

    def __str__(self) -> str:
        counted = Counter(self.standings.values())
        counted["waiting"] = self.total - len(self.standings)
        return ", ".join(f"{counted[status]} {status}" for status in STANDINGS)

    @property
    def percent(self) -> float:
        """How much is over, however it ended."""
        over = sum(status != "active" for status in self.standings.values())
        return 100 * over / self.total if self.total else 100.0


class StartRateLimiter:
    """Lets exports begin at a steady pace; one that turned out to need no run gives most of its share back.

    A Prefect server digests 29 to 47 task runs a second; above that its event queue overflows without a word.

    Args:
        task_runs_per_second: What this process may ask of the server.
    """

    def __init__(self, task_runs_per_second: float) -> None:
        self._spacing = TASK_RUNS_PER_EXPORT / task_runs_per_second
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Wait for one's turn."""
        now = time.monotonic()
        turn = max(self._next, now)
        self._next = turn + self._spacing
        await asyncio.sleep(turn - now)

    def give_back(self) -> None:
        """Let the next one begin earlier: only one of the task runs was needed."""
        self._next -= self._spacing * (TASK_RUNS_PER_EXPORT - 1) / TASK_RUNS_PER_EXPORT


@task(
    retries=3,
    retry_delay_seconds=[1, 3, 8],
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,  # what is in the iTwin changes by the day
    persist_result=False,
)
async def list_imodels(credentials: ItwinCredentials, request: BatchRequest) -> list[IModel]:
    """The initialized iModels of the iTwin that are asked for, by name.

    Raises:
        NotFoundError: There is no such iTwin.
        InputError: An iModel asked for is not in it, or none is chosen and that was not allowed.
    """
    async with credentials.get_client() as itwin:
        found = [imodel async for imodel in itwin.imodels.list_imodels(request.itwin_id)]
    absent = request.imodel_ids - {imodel.id.lower() for imodel in found}
    if absent:
        raise InputError(
            f"iTwin {request.itwin_id} holds no initialized iModel {', '.join(sorted(absent))} that this client may "
            f"see. Check the ids, or leave imodel_ids out."
        )
    wanted = request.imodel_ids or {imodel.id.lower() for imodel in found}
    part = request.name_contains.casefold()
    chosen = [imodel for imodel in found if imodel.id.lower() in wanted and part in imodel.display_name.casefold()]
    if not chosen and not request.allow_empty:
        raise InputError(_nothing_chosen(request, len(found)))
    get_run_logger().info("%s of %s iModels are to be exported.", len(chosen), len(found))
    return sorted(chosen, key=lambda imodel: (imodel.display_name, imodel.id))


def _nothing_chosen(request: BatchRequest, count: int) -> str:
    named = f", and no name contains “{request.name_contains}”" if request.name_contains and count else ""
    return (
        f"There is nothing to export: iTwin {request.itwin_id} holds {count} initialized iModels that this client may "
        f"see{named}. Check the iTwin id and the name, or accept an empty choice: --allow-empty (allow_empty=true)."
    )


async def export_all(
    request: BatchRequest, imodels: Sequence[IModel], runbooks: Mapping[ExportFormat, ExportFlow]
) -> BatchReport:
    """Run every export and report how each ended; a failed one stops no other.

    Raises:
        asyncio.CancelledError: The batch was cancelled; remote runs go on and the next batch picks them up.
    """
    items = [BatchItem(imodel, chosen) for imodel in imodels for chosen in request.formats]
    in_hand = asyncio.Semaphore(math.ceil(request.max_active * (1 + SPARE_SHARE)))
    progress = Progress(len(items))
    admission = StartRateLimiter(read_settings().task_runs_per_second)

    async def export(item: BatchItem) -> ExportReport:
        async with in_hand:
            await admission.wait()
            with _standing(progress, item):
                report = await _run(runbooks[item.format], request, item)
                progress.standings[item] = "skipped" if report.skipped else "exported"
        if report.skipped:
            admission.give_back()
        return report

    share_slots(request.max_active)
    async with shown(progress, request.itwin_id):
        outcomes = await asyncio.gather(*(export(item) for item in items), return_exceptions=True)
    return _summarize(request.itwin_id, items, outcomes)


async def publish_report(request: BatchRequest, report: BatchReport, imodels: Sequence[IModel]) -> None:
    """One table of all exports, the failed ones first, and the report as a file beside the exports."""
    keep_batch_report(request.output_dir, str(flow_run.get_id()), report)
    names = {imodel.id.lower(): imodel.display_name for imodel in imodels}
    failed = [
        {"iModel": names.get(one.imodel_id, one.imodel_id), "Format": one.format, "Result": f"failed: {one.error}"}
        for one in report.failures
    ]
    done = [
        {
            "iModel": names.get(one.imodel_id, one.imodel_id),
            "Format": one.format,
            "Result": "skipped" if one.skipped else one.result,
            "Changeset": one.changeset_id[:10] or "baseline",
            "Run": one.run_id,
            "Bytes": one.total_bytes,
        }
        for one in report.reports
    ]
    await acreate_table_artifact(
        table=[*failed, *done], key=f"export-itwin-{report.itwin_id}", description=_in_short(report)
    )
    get_run_logger().info("%s", _in_short(report))


def conclude(report: BatchReport, fail_when: FailWhen) -> BatchReport:
    """The report, or a failure that carries it, as the caller wants failures judged.

    Raises:
        BatchFailedError: Too many exports failed.
    """
    succeeded = report.exported + report.skipped
    if report.failed and (fail_when == "any" or (fail_when == "all" and not succeeded)):
        first = report.failures[0]
        raise BatchFailedError(f"{_in_short(report)} The first: {first.error}", report)
    return report


async def _run(runbook: ExportFlow, request: BatchRequest, item: BatchItem) -> ExportReport:
    """One single export, with those of the options that it knows."""
    known = inspect.signature(runbook).parameters
    options = {name: value for name, value in request.options.items() if name in known}
    return await runbook(imodel_id=item.imodel.id, **options)


@contextlib.contextmanager
def _standing(progress: Progress, item: BatchItem) -> Generator[None]:
    """Active until it is told otherwise; failed when it ends without that."""
    progress.standings[item] = "active"
    try:
        yield
    finally:
        if progress.standings[item] == "active":
            progress.standings[item] = "failed"


def _summarize(
    itwin_id: str, items: Sequence[BatchItem], outcomes: Sequence[ExportReport | BaseException]
) -> BatchReport:
    """One report of all; what nobody foresaw is a failure like any other."""
    reports = tuple(outcome for outcome in outcomes if isinstance(outcome, ExportReport))
    failures = tuple(
        BatchFailure(imodel_id=item.imodel.id, format=item.format, error=_said(outcome))
        for item, outcome in zip(items, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    )
    skipped = sum(report.skipped for report in reports)
    return BatchReport(
        itwin_id=itwin_id,
        exported=len(reports) - skipped,
        skipped=skipped,
        failed=len(failures),
        reports=reports,
        failures=failures,
    )


def _said(error: BaseException) -> str:
    text = without_secrets(str(error))
    return text if isinstance(error, ExportError) else f"{type(error).__name__}: {text}"


def _in_short(report: BatchReport) -> str:
    counts = f"{report.exported} exported, {report.skipped} skipped, {report.failed} failed"
    return f"iTwin {report.itwin_id}: {counts}."
