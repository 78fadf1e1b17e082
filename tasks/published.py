"""Published exports: find a current one, draft the manifest, report the result."""

import asyncio
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from prefect import get_run_logger

from blocks.errors import ContentError
from blocks.itwin.credentials import ItwinCredentials
from blocks.shown_text import in_markdown
from blocks.storage.history import KeptExport
from blocks.storage.manifest import EXPORT_FORMAT, Manifest
from tasks.artifacts import show_table
from tasks.current_export import find_current, report_of, report_unchanged
from tasks.options import ExportRequest
from tasks.platform_slots import in_batch
from tasks.reports import ExportReport

TOOL_VERSION = version("itwin-export")


async def find_published(credentials: ItwinCredentials, request: ExportRequest, changeset_id: str) -> KeptExport | None:
    """A published, identical and undamaged export; None if there is none or `force` is set."""
    try:
        return await asyncio.to_thread(find_current, request, changeset_id, credentials.api_url)
    except ContentError as error:
        get_run_logger().warning("The published export is damaged and is exported again. %s", error)
        return None


async def report_skipped(published: KeptExport, request: ExportRequest) -> ExportReport:
    """Report an export that was already published, and show it in an artifact."""
    changeset_id = published.manifest.changeset_id
    get_run_logger().info("Nothing to do: changeset %s is already exported and verified.", changeset_id)
    report = report_unchanged(published, request)
    await _show(report)
    return report


async def report_published(manifest: Manifest, request: ExportRequest, *, started_at: datetime) -> ExportReport:
    """Report an export that has just been published, and show it in an artifact."""
    report = report_of(manifest, request, started_at=started_at)
    log = get_run_logger()
    log.info("Published %s in %s.", ", ".join(file.path for file in report.files), report.output_dir)
    if report.adopted:
        log.info("Export run %s was started elsewhere; this flow run only waited for it.", report.run_id)
    if report.difference:
        log.info("%s.", report.difference.sentence())
    await _show(report)
    return report


def draft_manifest(
    credentials: ItwinCredentials, request: ExportRequest, *, changeset_id: str | None, **facts: Any
) -> Manifest:
    """Create the manifest of a new export; `facts` are the members that the request does not determine."""
    is_known = changeset_id is not None
    return Manifest(
        api_url=credentials.api_url,
        imodel_id=request.imodel_id,
        imodel_name=request.names.imodel or None,
        changeset_id=changeset_id,
        changeset_index=request.names.changeset_index if is_known else None,
        named_version=request.names.version if is_known else None,
        format=request.format,
        options=request.options,
        tool_version=TOOL_VERSION,
        export_format=EXPORT_FORMAT,
        versions={"python": platform.python_version(), "prefect": version("prefect")},
        created_at=datetime.now(UTC),
        **facts,
    )


async def _show(report: ExportReport) -> None:
    """Create one artifact per flow run; an export in a batch has none, because the batch lists all in one table."""
    if in_batch():
        return
    rows = [{"File": file.path, "Role": file.role, "Bytes": file.size, "SHA-256": file.sha256} for file in report.files]
    changeset = report.changeset_id or "the baseline"
    version = f", the named version “{in_markdown(report.named_version.name)}”" if report.named_version else ""
    name = f"“{in_markdown(report.imodel_name)}” " if report.imodel_name else ""
    source = f"{_source(report)}, result {in_markdown(report.result)}"
    notes = "".join(f"\n\n⚠ {in_markdown(warning)}" for warning in report.warnings)
    skipped = " Skipped: this export is already published and verified." if report.skipped else ""
    found = "".join(f" {in_markdown(one.sentence())}." for one in (report.content, report.difference) if one)
    what = f"iModel {name}`{report.imodel_id}` from {changeset}{version}, in `{report.output_dir}`"
    await show_table(
        rows,
        key=f"export-{report.format}-{report.imodel_id}",
        description=f"{what}. {source}.{found}{skipped}{notes}",
    )


def _source(report: ExportReport) -> str:
    if report.format == "ifc":
        shared = ", started elsewhere: this flow run only waited for it" if report.adopted else ""
        return f"Export run `{report.run_id}` on connection `{report.connection_id}`{shared}"
    return f"Mesh export `{report.run_id}`: {report.tile_count} tiles, {report.total_bytes} bytes"
