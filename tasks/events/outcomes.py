"""How an export has ended, as an event that has the same id however often it is made."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

from blocks.errors import ExportTimeoutError, RejectedError, RunCanceledError, RunTimedOutError, UndecidedError
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.manifest import VersionFacts
from tasks.events.payloads import (
    LONGEST_ERROR,
    EventRecord,
    ExportEventName,
    ExportPayload,
    FlowRunNamed,
    Payload,
    fitted,
    short_text,
)
from tasks.export_progress import ExportProgress
from tasks.judged_export import is_put_aside, place_of
from tasks.output_place import below
from tasks.platform_slots import in_batch
from tasks.reports import ExportedVersion, ExportReport

_NAMESPACE = UUID("6c0d5a5e-6a55-5f0a-9d5b-0d7f5f2f6a11")
PUBLISHED = "itwin.export.published"
SKIPPED = "itwin.export.skipped"
REJECTED = "itwin.export.rejected"
CANCELLED = "itwin.export.cancelled"
_OF_THE_REPORT = {
    "imodel_id",
    "format",
    "changeset_id",
    "changeset_index",
    "run_id",
    "result",
    "verdict",
    "difference",
    "files",
    "tile_count",
    "total_bytes",
}
"""Members that payloads have as they are in reports."""


def event_id(*identity: str | None) -> UUID:
    """The id of the event about this outcome: the Prefect server stores an event of a known id no second time."""
    return uuid5(_NAMESPACE, "\0".join(part or "" for part in identity))


def record_of(payload: Payload, *identity: str | None) -> EventRecord:
    """The event of a payload, which occurs now.

    Args:
        payload: What it says.
        identity: What two events have in common that are about the same outcome, besides their name.
    """
    return EventRecord(id=event_id(payload.event, *identity), occurred=datetime.now(UTC), payload=payload)


def event_of_report(report: ExportReport) -> ExportEventName:
    """The event for an export that ended with a report and without an error."""
    if is_put_aside(report):
        return REJECTED
    return SKIPPED if report.skipped else PUBLISHED


def event_of_error(error: Exception) -> ExportEventName:
    """The event for an export that ended with an error."""
    match error:
        case UndecidedError():
            return "itwin.export.failed"
        case RejectedError():
            return REJECTED
        case ExportTimeoutError() | RunTimedOutError():
            return "itwin.export.timed-out"
        case RunCanceledError():
            return CANCELLED
        case _:
            return "itwin.export.failed"


def payload_of_report(
    event: ExportEventName, report: ExportReport, run: FlowRunNamed, itwin_id: str, error: Exception | None = None
) -> ExportPayload:
    """The payload for an export of which there are files, published or put aside."""
    facts = report.model_dump(include=_OF_THE_REPORT) | {
        "event": event,
        "flow_run": run,
        "in_batch": in_batch(),
        "imodel_name": short_text(report.imodel_name or "") or None,
        "itwin_id": itwin_id or None,
        "named_version": _version(report.named_version),
        "destination": report.output_dir,
        "manifest": below(report.output_dir, place_of(report), MANIFEST_NAME),
    }
    return fitted(ExportPayload.model_validate(facts | _said(error)))


def payload_without_files(
    event: ExportEventName,
    progress: ExportProgress,
    run: FlowRunNamed,
    output: str,
    error: Exception | None = None,
) -> ExportPayload:
    """The payload for an export without files, with what it had found out by then."""
    payload = ExportPayload(
        event=event,
        flow_run=run,
        in_batch=in_batch(),
        imodel_id=short_text(progress.imodel_id),
        imodel_name=short_text(progress.names.imodel) or None,
        itwin_id=progress.names.itwin_id or None,
        format=progress.format,
        changeset_id=progress.changeset_id,
        changeset_index=progress.names.changeset_index,
        named_version=_version(progress.names.version),
        run_id=progress.run_id or None,
        destination=output,
    )
    return fitted(payload.model_copy(update=_said(error)))


def _version(version: ExportedVersion | VersionFacts | None) -> ExportedVersion | None:
    return ExportedVersion(id=version.id, name=short_text(version.name)) if version else None


def _said(error: Exception | None) -> dict[str, str]:
    if error is None:
        return {}
    return {"error": short_text(str(error), LONGEST_ERROR), "error_type": type(error).__name__}
