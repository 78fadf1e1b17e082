"""Emit one event at the end of a batch."""

from prefect import get_run_logger

from tasks.batch.options import BatchRequest
from tasks.batch.reports import report_key
from tasks.events.announced_export import named
from tasks.events.delivery import deliver_waiting, emit
from tasks.events.outcomes import record_of
from tasks.events.payloads import MOST_FAILURES, SHORT_ERROR, BatchPayload, short_text
from tasks.flow_run_facts import own_flow_run
from tasks.output_place import below
from tasks.reports import BatchFailure, BatchReport

SHARD_TAG = "shard"
"""Of flow runs that are a part of a batch: the batch has the event."""


async def emit_finished(request: BatchRequest, report: BatchReport) -> None:
    """Emit `itwin.batch.finished`, and deliver the events of exports that still wait; a shard only does the latter."""
    flow_run = own_flow_run()
    if SHARD_TAG in flow_run.tags:
        await deliver_waiting(request.output_dir, get_run_logger())
        return
    run = named(flow_run)
    payload = BatchPayload(
        flow_run=run,
        itwin_id=report.itwin_id,
        itwin_name=short_text(request.itwin_name) or None,
        exported=report.exported,
        skipped=report.skipped,
        failed=report.failed,
        rejected=report.rejected,
        failures=tuple(_shortened(failure) for failure in report.failures[:MOST_FAILURES]),
        destination=request.output,
        report=below(request.output, report_key(request.output_dir, run.id)),
    )
    await emit(record_of(payload, run.id), get_run_logger())


def _shortened(failure: BatchFailure) -> BatchFailure:
    return failure.model_copy(update={"error": short_text(failure.error, SHORT_ERROR)})
