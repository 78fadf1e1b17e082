"""What the events say that exports and batches emit; `events.schema.json` beside this file describes it for others.

Events are read by other people's programs: members are added and never renamed or removed within a schema version.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from blocks.errors import without_secrets
from blocks.shown_text import shown
from blocks.storage.acceptance.checks import Verdict
from blocks.storage.content.difference import Difference
from tasks.reports import BatchFailure, ExportedFile, ExportedVersion, ExportFormat

LARGEST_PAYLOAD = 16 * 1024
"""Maximum size of a payload in bytes of JSON."""
LONGEST_ERROR = 1000
SHORT_ERROR = 200
LONGEST_NAME = 200
MOST_FAILURES = 20

ExportEventName = Literal[
    "itwin.export.published",
    "itwin.export.skipped",
    "itwin.export.rejected",
    "itwin.export.failed",
    "itwin.export.timed-out",
    "itwin.export.cancelled",
]


class FlowRunNamed(BaseModel):
    """The flow run that an event comes from; of a batch, the flow run of the batch."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    deployment_id: str | None = None


class ExportPayload(BaseModel):
    """The outcome of one export; sizes are in bytes, what is not known is null."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    event: ExportEventName
    flow_run: FlowRunNamed
    imodel_id: str = Field(description="As it was asked for, if the export ended before its name was looked up.")
    imodel_name: str | None = None
    itwin_id: str | None = None
    format: ExportFormat
    changeset_id: str | None = Field(default=None, description="Empty for the baseline.")
    changeset_index: int | None = None
    named_version: ExportedVersion | None = None
    in_batch: bool = Field(default=False, description="True for an export of a batch, which emits its own event.")
    run_id: str | None = Field(default=None, description="Export run; for meshes the mesh export.")
    result: str | None = Field(default=None, description="The platform's word for the result.")
    verdict: Verdict = "not_checked"
    difference: Difference | None = Field(default=None, description="What changed since the export before.")
    error: str | None = Field(default=None, description="Why there is no new export for readers, for people.")
    error_type: str | None = Field(default=None, description="Name of the class of the error.")
    destination: str = Field(description="The output folder.")
    manifest: str | None = Field(default=None, description="Address of the manifest; null where there are no files.")
    files: tuple[ExportedFile, ...] = Field(default=(), description="Paths are relative to the destination.")
    files_omitted: bool = Field(default=False, description="True if the files are listed in the manifest only.")
    tile_count: int = 0
    total_bytes: int = 0


class BatchPayload(BaseModel):
    """The end of a batch; the counts add up to all its exports."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    event: Literal["itwin.batch.finished"] = "itwin.batch.finished"
    flow_run: FlowRunNamed
    itwin_id: str
    itwin_name: str | None = None
    exported: int
    skipped: int
    failed: int
    rejected: int
    failures: tuple[BatchFailure, ...] = Field(default=(), description=f"The first {MOST_FAILURES}.")
    destination: str = Field(description="The output folder.")
    report: str = Field(description="Address of the report of all exports; it is kept for a week.")


Payload = Annotated[ExportPayload | BatchPayload, Field(discriminator="event")]


class EventRecord(BaseModel):
    """An event as it is kept until the Prefect server has it; the same outcome always has the same id."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    occurred: datetime
    payload: Payload


def short_text(text: str, longest: int = LONGEST_NAME) -> str:
    """A text of another system for a payload: without secrets, on one line, shortened."""
    return shown(without_secrets(text), longest)


def fitted(payload: ExportPayload) -> ExportPayload:
    """The payload, at most `LARGEST_PAYLOAD` long: first the list of files is left out, then texts are shortened."""
    error = payload.error and short_text(payload.error, SHORT_ERROR)
    for less in ({"files": (), "files_omitted": True}, {"difference": None}, {"error": error}):
        if len(payload.model_dump_json().encode()) <= LARGEST_PAYLOAD:
            break
        payload = payload.model_copy(update=less)
    return payload
