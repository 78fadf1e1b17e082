"""Reports of batches as files beside the exports; a batch reads the reports of its shards from them."""

from pathlib import Path

from blocks.disk import disk_errors, write_whole
from tasks.reports import BatchReport
from tasks.state_dir import StateDir, prepare, read_record

LONGEST_REPORT = 256 * 1024 * 1024


def keep_batch_report(output_dir: Path, flow_run_id: str, report: BatchReport) -> None:
    """Write a report to a file named after its flow run, and delete reports older than a week.

    Raises:
        DiskError: The file cannot be written.
    """
    path = StateDir.of_batches(output_dir).batch(flow_run_id)
    with disk_errors(path.parent):
        prepare(path.parent)
        write_whole(path, report.model_dump_json().encode())


def read_batch_report(output_dir: Path, flow_run_id: str) -> BatchReport | None:
    """The report of a flow run; None if there is none or it is unreadable."""
    return read_record(StateDir.of_batches(output_dir).batch(flow_run_id), BatchReport, LONGEST_REPORT)
