"""Published exports: find a current one, draft the manifest, report the result."""

import asyncio
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from prefect import get_run_logger

from blocks.errors import ContentError
from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.history import KeptExport
from blocks.storage.manifest import EXPORT_FORMAT, Manifest
from tasks.current_export import find_current, report_of, report_unchanged
from tasks.options import ExportRequest
from tasks.reports import ExportReport

TOOL_VERSION = version("itwin-export")


async def find_published(credentials: ItwinCredentials, request: ExportRequest, changeset_id: str) -> KeptExport | None:
    """A published, identical and undamaged export; None if there is none or `force` is set."""
    try:
        return await asyncio.to_thread(find_current, request, changeset_id, credentials.api_url)
    except ContentError as error:
        get_run_logger().warning("The published export is damaged and is exported again. %s", error)
        return None


def report_skipped(published: KeptExport, request: ExportRequest) -> ExportReport:
    """Report an export that was already published."""
    changeset_id = published.manifest.changeset_id
    get_run_logger().info("Nothing to do: changeset %s is already exported and verified.", changeset_id)
    return report_unchanged(published, request)


def report_published(manifest: Manifest, request: ExportRequest, *, started_at: datetime) -> ExportReport:
    """Report an export that has just been published."""
    report = report_of(manifest, request, started_at=started_at)
    log = get_run_logger()
    log.info("Published %s in %s.", ", ".join(file.path for file in report.files), report.output_dir)
    if report.preview_reason:
        log.info("There is no picture of the export: %s.", report.preview_reason)
    if report.adopted:
        log.info("Export run %s was started elsewhere; this flow run only waited for it.", report.run_id)
    if report.difference:
        log.info("%s.", report.difference.sentence())
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
