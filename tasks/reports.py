"""Results of export flows, as JSON for scripts and as tables for people."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blocks.storage.acceptance.checks import Check, Verdict
from blocks.storage.content.difference import Difference
from blocks.storage.content.models import ContentSummary, EarthExtent

ExportFormat = Literal["ifc", "mesh"]


class ExportedFile(BaseModel):
    """A published file; `path` is relative to the report's `output_dir`, `size` is in bytes."""

    model_config = ConfigDict(frozen=True)

    path: str
    role: Literal["model", "log", "tileset"]
    size: int
    sha256: str


class BatchFailure(BaseModel):
    """A failed export of a batch.

    Attributes:
        error: The message for people, without any query string.
        articles: Whole addresses of the platform's articles about it.
    """

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    format: ExportFormat
    error: str
    articles: tuple[str, ...] = ()


class ExportedVersion(BaseModel):
    """The named version that was asked for."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str


class ExportReport(BaseModel):
    """The result of one export; sizes are in bytes, times have a time zone.

    `imodel_name` and `changeset_index` are None where they are not known; index 0 is the baseline. `changeset_id` is
    empty for the baseline of an iModel without changesets. `run_id` is the export id for meshes.
    `adopted` is true when the files come from a run that this flow run did not start. `content` is the short form of
    `content.json`, None for exports of earlier releases. `difference` is what changed since the export before, None if
    there was none to compare with. `verdict` is what the acceptance rules of this request say; `checks` has each of
    them with its limit and what was measured.
    `preview` is the path of the picture below `output_dir`; `preview_reason` says why there is none, or what it lacks,
    and is empty where none was asked for.
    """

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    imodel_name: str | None = None
    changeset_id: str
    changeset_index: int | None = None
    named_version: ExportedVersion | None = None
    format: ExportFormat
    connection_id: str | None = None
    run_id: str | None = None
    result: str
    skipped: bool = False
    adopted: bool = False
    warnings: tuple[str, ...] = ()
    verdict: Verdict = "not_checked"
    checks: tuple[Check, ...] = ()
    files: tuple[ExportedFile, ...] = ()
    tile_count: int = 0
    total_bytes: int = 0
    content: ContentSummary | None = None
    difference: Difference | None = None
    preview: str | None = None
    preview_reason: str = ""
    output_dir: str
    started_at: datetime
    finished_at: datetime


def about_picture(report: ExportReport) -> str:
    """How a sentence about the picture begins, which `preview_reason` goes on with."""
    return "The picture is not complete" if report.preview else "No picture"


class FederatedModel(BaseModel):
    """Whether an iModel is in the common tileset of its iTwin; `placed`: by a table; `reason`: why it is left out."""

    model_config = ConfigDict(frozen=True)

    imodel_id: str
    imodel_name: str
    status: Literal["included", "placed", "left out"]
    reason: str = ""
    changeset_id: str | None = None
    tile_count: int = 0
    total_bytes: int = 0
    extent: EarthExtent | None = None


class FederationReport(BaseModel):
    """The common tileset of an iTwin; `tileset` is its path, None if `error` says why there is none."""

    model_config = ConfigDict(frozen=True)

    itwin_id: str
    itwin_name: str | None = None
    tileset: str | None = None
    included: int = 0
    left_out: int = 0
    imodels: tuple[FederatedModel, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""


class BatchReport(BaseModel):
    """All exports of an iTwin; `exported`, `skipped`, `failed` and `rejected` are counts that add up to all exports.

    An export that the acceptance rules reject counts as rejected only, whatever followed from it. `federation` is the
    common tileset, None if none was asked for.
    """

    model_config = ConfigDict(frozen=True)

    itwin_id: str
    exported: int
    skipped: int
    failed: int
    rejected: int = 0
    reports: tuple[ExportReport, ...] = ()
    failures: tuple[BatchFailure, ...] = ()
    federation: FederationReport | None = None
