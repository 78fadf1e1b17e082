"""Which flow run published an export, and whether that was announced.

A process may be killed between publishing and the event. Then the next flow run finds the export there, with nothing to
do, and emits the event in place of the one that was killed. Noted before publishing begins, for the same reason.
"""

from contextlib import suppress

from pydantic import BaseModel, ConfigDict

from blocks.disk import disk_errors, write_whole
from blocks.errors import DiskError
from tasks.flow_run_facts import own_flow_run
from tasks.options import ExportRequest
from tasks.reports import ExportReport
from tasks.state_dir import StateDir, prepare, read_record

LONGEST_PUBLICATION = 4096


class Publication(BaseModel):
    """The last publication of an iModel in one format; `run_id` is the export run or the mesh export."""

    model_config = ConfigDict(frozen=True)

    flow_run_id: str
    run_id: str | None
    is_announced: bool = False


def note_publication(request: ExportRequest, run_id: str | None) -> None:
    """Note that this flow run is about to publish.

    Raises:
        DiskError: The disk refuses.
    """
    _write(request.state_dir, request.format, Publication(flow_run_id=str(own_flow_run().id), run_id=run_id))


def read_publication(state_dir: StateDir, report: ExportReport) -> Publication | None:
    """The publication of the export in a report; None if another one came later, or a week has passed."""
    noted = read_record(state_dir.publication(report.format), Publication, LONGEST_PUBLICATION)
    return noted if noted and noted.run_id == report.run_id else None


def note_announced(state_dir: StateDir, report: ExportReport) -> None:
    """Record that the event was emitted; errors of the disk are ignored."""
    if noted := read_publication(state_dir, report):
        with suppress(DiskError):
            _write(state_dir, report.format, noted.model_copy(update={"is_announced": True}))


def _write(state_dir: StateDir, export_format: str, publication: Publication) -> None:
    with disk_errors(state_dir.root):
        prepare(state_dir.root)
        write_whole(state_dir.publication(export_format), publication.model_dump_json().encode())
