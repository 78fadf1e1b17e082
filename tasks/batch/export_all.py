"""Run many exports in one process, with limits on starts per second and on exports at the platform.

A failed export is reported and the others continue.
"""

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
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from blocks.errors import (
    BatchFailedError,
    BatchRejectedError,
    ExportError,
    InputError,
    RejectedError,
    UndecidedError,
    without_secrets,
)
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import IModel
from blocks.settings import read_settings
from blocks.storage.acceptance.rules import GivenRules
from tasks.addresses import is_id
from tasks.batch.finished_event import emit_finished
from tasks.batch.options import BatchRequest, FailWhen
from tasks.batch.page import counts_of
from tasks.batch.reports import BegunBatch, keep_batch_report, keep_begun_batch, share_batch_report
from tasks.batch.shown_batch import progress_key, show_batch
from tasks.events.delivery import delivering
from tasks.imodel import resolve_itwin
from tasks.imodel_selection import select_imodels
from tasks.judged_export import is_failure, refusal_of
from tasks.known_imodel import known_imodel, listed_imodel
from tasks.load_blocks import SharedReads, sharing_blocks
from tasks.platform_slots import share_slots
from tasks.progress_artifact import shown
from tasks.reports import BatchFailure, BatchReport, ExportFormat, ExportReport
from tasks.retry import retries_after

TASK_RUNS_PER_EXPORT = 8
SPARE_SHARE = 0.5
"""Exports that prepare or download, as a share of `max_active`: they run beside those that wait for the platform."""

ItemStatus = Literal["waiting", "active", "exported", "skipped", "failed", "rejected"]
STATUSES: tuple[ItemStatus, ...] = ("waiting", "active", "exported", "skipped", "failed", "rejected")
ExportFlow = Callable[..., Awaitable[ExportReport]]


@dataclass(frozen=True)
class BatchItem:
    """One export of a batch."""

    imodel: IModel
    format: ExportFormat


@dataclass
class Progress:
    """Counts of the exports of a batch by status, for the progress artifact."""

    total: int
    statuses: dict[BatchItem, ItemStatus] = field(default_factory=dict[BatchItem, ItemStatus])

    def __str__(self) -> str:
        counted = Counter(self.statuses.values())
        counted["waiting"] = self.total - len(self.statuses)
        return ", ".join(f"{counted[status]} {status}" for status in STATUSES)

    @property
    def percent(self) -> float:
        """Share of the exports that have ended, successfully or not, from 0 to 100."""
        over = sum(status != "active" for status in self.statuses.values())
        return 100 * over / self.total if self.total else 100.0


class StartRateLimiter:
    """Limits how many exports start per second; a skipped export returns most of its allowance.

    Measured: a Prefect 3.9 server processes 29 to 47 task runs per second. Above that, its event queue (10 000 events)
    overflows and events are lost without an error.

    Args:
        task_runs_per_second: How many task runs this process may start per second.
    """

    def __init__(self, task_runs_per_second: float) -> None:
        self._spacing = TASK_RUNS_PER_EXPORT / task_runs_per_second
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Wait until the next export may start."""
        now = time.monotonic()
        start = max(self._next, now)
        self._next = start + self._spacing
        await asyncio.sleep(start - now)

    def give_back(self) -> None:
        """Let the next export start earlier: a skipped export needs only one task run."""
        self._next -= self._spacing * (TASK_RUNS_PER_EXPORT - 1) / TASK_RUNS_PER_EXPORT


@task(
    **retries_after(1, 3, 8),
    cache_policy=NO_CACHE,  # iModels are added and removed between runs
    persist_result=False,
)
async def list_imodels(itwin: ItwinApis, request: BatchRequest) -> list[IModel]:
    """List the requested iModels of the iTwin that are initialized, sorted by display name.

    Raises:
        NotFoundError: There is no such iTwin.
        InputError: A requested iModel is not in the iTwin, or none is selected and `allow_empty` is false.
    """
    found = [imodel async for imodel in itwin.imodels.list_imodels(request.itwin_id)]
    wanted = select_imodels(request.imodel_ids, found, request.itwin_id, request.itwin_name)
    part = request.name_contains.casefold()
    chosen = [imodel for imodel in wanted if part in imodel.display_name.casefold()]
    if not chosen and not request.allow_empty:
        raise InputError(_nothing_chosen(request, len(found)))
    get_run_logger().info("%s of %s iModels are selected for export.", len(chosen), len(found))
    return sorted(chosen, key=lambda imodel: (imodel.display_name, imodel.id))


async def with_itwin(credentials: ItwinCredentials, request: BatchRequest) -> BatchRequest:
    """The request with the id of its iTwin.

    Raises:
        NotFoundError: No iTwin is called so.
        InputError: Several iTwins are called so.
    """
    if is_id(request.itwin_id):
        return request
    found = await resolve_itwin(credentials, request.itwin_id)
    return request.model_copy(update={"itwin_id": found.id, "itwin_name": found.name})


def _nothing_chosen(request: BatchRequest, count: int) -> str:
    named = f", and no name contains “{request.name_contains}”" if request.name_contains and count else ""
    return (
        f"There is nothing to export: iTwin {request.itwin_id} has {count} initialized iModels that this client may "
        f"see{named}. Check the iTwin id and the name, or accept an empty selection: --allow-empty (allow_empty=true)."
    )


def note_begun(request: BatchRequest, imodels: Sequence[IModel]) -> None:
    """Note which exports are to be made, for the page of a batch that is cancelled or crashes.

    Raises:
        DiskError: The note cannot be written.
    """
    names = {imodel.id.lower(): imodel.display_name for imodel in imodels}
    begun = BegunBatch(itwin_id=request.itwin_id, itwin_name=request.itwin_name, formats=request.formats, names=names)
    keep_begun_batch(request.output_dir, str(flow_run.get_id()), begun)


async def export_all(
    request: BatchRequest, imodels: Sequence[IModel], export_flows: Mapping[ExportFormat, ExportFlow]
) -> BatchReport:
    """Run every export and return one report of all; when an export fails, the others continue.

    Raises:
        asyncio.CancelledError: The batch was cancelled; export runs continue at the platform for the next batch.
    """
    items = [BatchItem(imodel, chosen) for imodel in imodels for chosen in request.formats]
    export_slots = asyncio.Semaphore(math.ceil(request.max_active * (1 + SPARE_SHARE)))
    progress = Progress(len(items))
    start_limiter = StartRateLimiter(read_settings().task_runs_per_second)

    async def export(item: BatchItem) -> ExportReport:
        async with export_slots:
            await start_limiter.wait()
            with _tracked_status(progress, item):
                report = await _run(export_flows[item.format], request, item)
                progress.statuses[item] = _status_of(report)
        if report.skipped:
            start_limiter.give_back()
        return report

    share_slots(request.max_active)
    async with shown(progress, progress_key(request)), delivering(request.output_dir):
        with sharing_blocks(SharedReads()):
            outcomes = await asyncio.gather(*(export(item) for item in items), return_exceptions=True)
    return _summarize(request.itwin_id, items, outcomes)


async def publish_report(
    itwin: ItwinApis, request: BatchRequest, report: BatchReport, imodels: Sequence[IModel]
) -> None:
    """Write the report to a file and an artifact, and emit the event of the batch; a shard emits none."""
    keep_batch_report(request.output_dir, str(flow_run.get_id()), report)
    await asyncio.to_thread(share_batch_report, request, str(flow_run.get_id()), report)
    requests = itwin.client.requests_sent if request.shards == 1 else None
    await show_batch(request, report, imodels, requests)
    await emit_finished(request, report)
    get_run_logger().info("%s", _summary_of(report))


def raise_if_failed(report: BatchReport, fail_when: FailWhen, given: GivenRules | None = None) -> BatchReport:
    """Return the report, or raise an error that contains it, as `fail_when` says.

    Args:
        report: Of all exports.
        fail_when: Whether some or all must have failed.
        given: The acceptance rules; an export that fails by them counts here as failed.

    Raises:
        BatchFailedError: An export failed (`any`), or all exports failed (`all`); or there is no common tileset.
        BatchRejectedError: The same, and none failed otherwise than by the rules.
    """
    if report.federation and report.federation.error and fail_when != "never":
        raise BatchFailedError(f"{_summary_of(report)} {report.federation.error}", report)
    refused = [entry for entry in report.reports if is_failure(entry, given)]
    succeeded = len(report.reports) - len(refused)
    if fail_when == "never" or (fail_when == "all" and succeeded) or not (report.failures or refused):
        return report
    if report.failures:
        raise BatchFailedError(f"{_summary_of(report)} The first: {report.failures[0].error}", report)
    raise BatchRejectedError(f"{_summary_of(report)} The first: {refusal_of(refused[0])}", report)


async def _run(export_flow: ExportFlow, request: BatchRequest, item: BatchItem) -> ExportReport:
    """Run one export with those options of the batch that its flow has; one that is rejected has a report."""
    known = inspect.signature(export_flow).parameters
    options = {name: value for name, value in request.options.items() if name in known}
    with known_imodel(listed_imodel(item.imodel)):
        try:
            return await export_flow(imodel_id=item.imodel.id, **options)
        except UndecidedError:
            raise
        except RejectedError as rejected:
            if isinstance(rejected.report, ExportReport):
                return rejected.report
            raise


@contextlib.contextmanager
def _tracked_status(progress: Progress, item: BatchItem) -> Generator[None]:
    """Set the status to active, and to failed if the block ends while it is still active."""
    progress.statuses[item] = "active"
    try:
        yield
    finally:
        if progress.statuses[item] == "active":
            progress.statuses[item] = "failed"


def _summarize(
    itwin_id: str, items: Sequence[BatchItem], outcomes: Sequence[ExportReport | BaseException]
) -> BatchReport:
    """Combine the results; an unexpected exception counts as a failed export."""
    reports = tuple(outcome for outcome in outcomes if isinstance(outcome, ExportReport))
    failures = tuple(
        BatchFailure(
            imodel_id=item.imodel.id, format=item.format, error=_message_of(outcome), articles=_articles_of(outcome)
        )
        for item, outcome in zip(items, outcomes, strict=True)
        if isinstance(outcome, BaseException)
    )
    counted = Counter(map(_status_of, reports))
    return BatchReport(
        itwin_id=itwin_id,
        exported=counted["exported"],
        skipped=counted["skipped"],
        failed=len(failures),
        rejected=counted["rejected"],
        reports=reports,
        failures=failures,
    )


def _status_of(report: ExportReport) -> ItemStatus:
    if report.verdict == "rejected":
        return "rejected"
    return "skipped" if report.skipped else "exported"


def _message_of(error: BaseException) -> str:
    text = without_secrets(str(error))
    return text if isinstance(error, ExportError) else f"{type(error).__name__}: {text}"


def _articles_of(error: BaseException) -> tuple[str, ...]:
    return error.articles if isinstance(error, ExportError) else ()


def _summary_of(report: BatchReport) -> str:
    return f"iTwin {report.itwin_id}: {counts_of(report)}."
