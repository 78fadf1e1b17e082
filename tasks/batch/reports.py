"""What batches keep beside the exports: which iModels they export, and their reports, also for the batch of shards."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from blocks.disk import disk_errors, write_whole
from blocks.timestamps import parse_timestamp
from tasks.batch.options import BatchRequest
from tasks.reports import BatchReport, ExportFormat
from tasks.state_dir import StateDir, prepare, read_record

Moment = Annotated[AwareDatetime, BeforeValidator(parse_timestamp)]
LONGEST_REPORT = 256 * 1024 * 1024


class BegunBatch(BaseModel):
    """The exports of a batch, noted before the first of them; `names` are those of the iModels, by id in lower case."""

    model_config = ConfigDict(frozen=True)

    itwin_id: str
    itwin_name: str = ""
    formats: tuple[ExportFormat, ...]
    names: Mapping[str, str]
    begun_at: Moment = Field(default_factory=lambda: datetime.now(UTC))


def keep_begun_batch(output_dir: Path, flow_run_id: str, begun: BegunBatch) -> None:
    """Write it to a file named after its flow run, for the page of a batch that does not come to its report.

    Raises:
        DiskError: The file cannot be written.
    """
    _write(StateDir.of_batches(output_dir).begun_batch(flow_run_id), begun)


def read_begun_batch(output_dir: Path, flow_run_id: str) -> BegunBatch | None:
    """What a flow run began to export; None if there is no such file or it is unreadable."""
    return read_record(StateDir.of_batches(output_dir).begun_batch(flow_run_id), BegunBatch)


def keep_batch_report(output_dir: Path, flow_run_id: str, report: BatchReport) -> None:
    """Write a report to a file named after its flow run, and delete reports older than a week.

    Raises:
        DiskError: The file cannot be written.
    """
    _write(StateDir.of_batches(output_dir).batch(flow_run_id), report)


def read_batch_report(output_dir: Path, flow_run_id: str) -> BatchReport | None:
    """The report of a flow run; None if there is none or it is unreadable."""
    return read_record(StateDir.of_batches(output_dir).batch(flow_run_id), BatchReport, LONGEST_REPORT)


def share_batch_report(request: BatchRequest, flow_run_id: str, report: BatchReport) -> None:
    """Write a report to the object store that the exports go to; for a folder it has been written by now.

    Raises:
        ExportError: The store refuses.
    """
    if request.address is not None:
        content = report.model_dump_json().encode()
        request.opened_store.write(report_key(request.output_dir, flow_run_id), content)


def read_shared_report(request: BatchRequest, flow_run_id: str) -> BatchReport | None:
    """The report of a flow run that another machine may have executed; None if there is none or it is unreadable."""
    if request.address is None:
        return read_batch_report(request.output_dir, flow_run_id)
    found = request.opened_store.read(report_key(request.output_dir, flow_run_id), LONGEST_REPORT)
    try:
        return BatchReport.model_validate_json(found.content) if found else None
    except ValidationError:
        return None


def report_key(output_dir: Path, flow_run_id: str) -> str:
    """Where a report is, relative to the output folder or address."""
    return StateDir.of_batches(output_dir).batch(flow_run_id).relative_to(output_dir).as_posix()


def _write(path: Path, record: BaseModel) -> None:
    with disk_errors(path.parent):
        prepare(path.parent)
        write_whole(path, record.model_dump_json().encode())
