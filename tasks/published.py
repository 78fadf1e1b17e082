"""Published exports: find a current one, draft the manifest, report the result."""

import asyncio
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.runtime import flow_run

from blocks.disk import remove_folder
from blocks.errors import ContentError
from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.history import KeptExport, link_files
from blocks.storage.manifest import EXPORT_FORMAT, Manifest
from tasks.current_export import find_current, find_rejected, report_of, report_unchanged
from tasks.imodel import with_imodel_name
from tasks.judged_export import is_failure, is_publishable, judge_again, needs_imodel, refusal_of
from tasks.options import ExportRequest
from tasks.reports import ExportReport, about_picture

Publish = Callable[[Path, Manifest], Manifest]
TOOL_VERSION = version("itwin-export")


async def find_published(credentials: ItwinCredentials, request: ExportRequest, changeset_id: str) -> KeptExport | None:
    """A published, identical and undamaged export, checked by the rules of the request; None if there is none.

    There is none either if `force` is set.
    """
    try:
        found = await asyncio.to_thread(find_current, request, changeset_id, credentials.api_url)
        return await _judged_again(credentials, found, request) if found else None
    except ContentError as error:
        get_run_logger().warning("The published export is damaged and is exported again. %s", error)
        return None


def report_skipped(published: KeptExport, request: ExportRequest) -> ExportReport:
    """Report an export that was already published."""
    changeset_id = published.manifest.changeset_id
    get_run_logger().info("Nothing to do: changeset %s is already exported and verified.", changeset_id)
    return raise_if_refused(report_unchanged(published, request), request)


async def publish_rejected(
    credentials: ItwinCredentials, request: ExportRequest, changeset_id: str, publish: Publish
) -> ExportReport | None:
    """Check an identical export again that was rejected before, and publish it if it may be published now.

    The platform is asked for the iModel at most, if the rules compare with it. None if there is no such export.

    Args:
        credentials: Of the platform that exported it.
        request: Its rules decide.
        changeset_id: Empty for the baseline.
        publish: Publishes the files of a staging folder with their manifest; returns that as written.

    Raises:
        RejectedError: It is still rejected.
    """
    started_at = datetime.now(UTC)
    found = await asyncio.to_thread(find_rejected, request, changeset_id, credentials.api_url)
    if found is None:
        return None
    judged = await _judged_again(credentials, found, request)
    if not is_publishable(judged.manifest, request):
        return report_skipped(judged, request)
    manifest = await asyncio.to_thread(_publish_linked, judged, request, publish)
    await asyncio.to_thread(request.published.remove, judged)
    get_run_logger().info("Nothing is asked of the platform: the export was in %s.", judged.folder)
    kept = KeptExport(request.folder, manifest)
    return raise_if_refused(report_published(kept, request, started_at=started_at), request)


async def _judged_again(credentials: ItwinCredentials, found: KeptExport, request: ExportRequest) -> KeptExport:
    if await asyncio.to_thread(needs_imodel, found, request):
        request = await with_imodel_name(credentials, request)
    return await asyncio.to_thread(judge_again, found, request)


def _publish_linked(export: KeptExport, request: ExportRequest, publish: Publish) -> Manifest:
    """Publish links to the files of an export, which stays where it is."""
    with request.staging_root.staging("accepted", str(flow_run.get_id())) as staging:
        remove_folder(staging)
        request.published.at(export.folder).fetch(export.manifest.files)
        link_files(export.folder, export.manifest, staging)
        published = publish(staging, export.manifest)
        remove_folder(staging)
    return published


def report_published(kept: KeptExport, request: ExportRequest, *, started_at: datetime) -> ExportReport:
    """Report an export that has just been published or put aside."""
    report = report_of(kept.manifest, request, started_at=started_at, folder=kept.folder)
    log = get_run_logger()
    done = "Published" if kept.folder == request.folder else "Put aside, for the acceptance rules do not accept it:"
    log.info("%s %s in %s.", done, ", ".join(file.path for file in report.files), report.output_dir)
    if report.preview_reason:
        log.info("%s: %s.", about_picture(report), report.preview_reason)
    if report.adopted:
        log.info("Export run %s was started elsewhere; this flow run only waited for it.", report.run_id)
    if report.difference:
        log.info("%s.", report.difference.sentence())
    return report


def raise_if_refused(report: ExportReport, request: ExportRequest) -> ExportReport:
    """The report, with the verdict in the log; an export that is not accepted fails as the rules say.

    Raises:
        RejectedError: It is rejected, or could not be checked.
    """
    log = get_run_logger()
    refusal = refusal_of(report)
    if refusal is None:
        if report.verdict == "accepted":
            log.info("Accepted by the acceptance rules; checks: %s.", len(report.checks))
        return report
    if is_failure(report, request.rules):
        raise refusal
    log.warning("%s", refusal)
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
