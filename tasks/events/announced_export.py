"""Emit one event for the outcome of each export."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun

from blocks.errors import ReportedError
from tasks.events.delivery import emit
from tasks.events.outcomes import (
    CANCELLED,
    PUBLISHED,
    SKIPPED,
    event_of_error,
    event_of_report,
    payload_of_report,
    payload_without_files,
    record_of,
)
from tasks.events.payloads import EventRecord, ExportEventName, FlowRunNamed
from tasks.events.publications import note_announced, read_publication
from tasks.export_progress import ExportProgress, current_progress
from tasks.flow_run_facts import own_flow_run
from tasks.options import ExportRequest, state_dir_of
from tasks.output_place import output_of, shown_output
from tasks.platform_slots import in_batch
from tasks.polling import Log
from tasks.reports import ExportReport
from tasks.state_dir import StateDir

Request = TypeVar("Request", bound=ExportRequest)
Serve = Callable[[Request], Awaitable[ExportReport]]


def announced(serve: Serve[Request]) -> Serve[Request]:
    """Let an export emit its event; in a batch it only waits in the outbox, from where the batch delivers it."""

    @wraps(serve)
    async def with_event(request: Request) -> ExportReport:
        try:
            report = await serve(request)
        except Exception as error:
            await _emit_failure(request, error)
            raise
        await _emit_report(report)
        return report

    return with_event


async def emit_cancelled(flow_run: FlowRun, progress: ExportProgress, log: Log) -> None:
    """Emit the event of a cancelled flow run, for hooks, which may run in another process."""
    output = output_of(flow_run.parameters.get("output_dir"))
    payload = payload_without_files(CANCELLED, progress, named(flow_run), shown_output(output))
    await emit(record_of(payload, str(flow_run.id), str(flow_run.parameters.get("imodel_id")), progress.format), log)


def named(flow_run: FlowRun) -> FlowRunNamed:
    """A flow run for a payload."""
    deployment = flow_run.deployment_id
    return FlowRunNamed(id=str(flow_run.id), name=flow_run.name, deployment_id=str(deployment) if deployment else None)


async def _emit_failure(request: ExportRequest, error: Exception) -> None:
    """The same flow run tells a failure once, also when it is retried and fails again."""
    name, run, progress = event_of_error(error), named(own_flow_run()), current_progress()
    report = error.report if isinstance(error, ReportedError) else None
    if isinstance(report, ExportReport):
        payload = payload_of_report(name, report, run, progress.names.itwin_id, error)
    else:
        payload = payload_without_files(name, progress, run, request.output, error)
    await _emit(record_of(payload, run.id, request.imodel_id, request.format))


async def _emit_report(report: ExportReport) -> None:
    run = named(own_flow_run())
    name, publisher = _outcome_of(report, run.id)
    payload = payload_of_report(name, report, run, current_progress().names.itwin_id)
    is_publication = name == PUBLISHED
    about = report.run_id if is_publication else None
    is_safe = await _emit(record_of(payload, publisher, report.imodel_id, report.format, about))
    if is_publication and is_safe:
        note_announced(_state_dir_of(report), report)


def _outcome_of(report: ExportReport, own_id: str) -> tuple[ExportEventName, str]:
    """The event, and the flow run whose outcome it is: that of a process that died before it could announce it."""
    name = event_of_report(report)
    noted = read_publication(_state_dir_of(report), report) if name == SKIPPED else None
    if noted and (noted.flow_run_id == own_id or not noted.is_announced):
        return PUBLISHED, noted.flow_run_id
    return name, own_id


def _state_dir_of(report: ExportReport) -> StateDir:
    return state_dir_of(report.output_dir, report.imodel_id)


async def _emit(event: EventRecord) -> bool:
    return await emit(event, get_run_logger(), is_delivered_later=in_batch())
