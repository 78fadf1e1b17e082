"""The verdict of acceptance rules on an export, new or already there, and what follows from it."""

import contextlib
from pathlib import Path, PurePosixPath

from blocks.errors import ConfigurationError, RejectedError, TransferError, UndecidedError
from blocks.storage.acceptance.comparison import PreviousExport
from blocks.storage.acceptance.imodel_place import IModelPlace
from blocks.storage.acceptance.judgement import judge, reasons
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.content.models import CONTENT_NAME, ExportContent, IfcSummary
from blocks.storage.content_file import read_content, replace_reports
from blocks.storage.destination.new_verdict import replace_verdict
from blocks.storage.history import REJECTED, KeptExport
from blocks.storage.manifest import AppliedRules, Manifest, ManifestFile
from tasks.options import ExportRequest
from tasks.output_place import below
from tasks.reports import ExportReport


def with_verdict(manifest: Manifest, request: ExportRequest, content: ExportContent, folder: Path) -> Manifest:
    """The manifest of an export that is not published, with the verdict of the request's rules.

    Args:
        manifest: Of the export.
        request: Its rules decide.
        content: What the export contains.
        folder: Where its files are.
    """
    compared = manifest.model_copy(update={"previous": _previous_of(request, manifest)})
    judged, reports = _judged(compared, request, content, folder)
    return judged.model_copy(update={"files": replace_reports(folder, judged.files, reports)})


def is_publishable(manifest: Manifest, request: ExportRequest) -> bool:
    """True if readers may get an export with this verdict."""
    on_rejected = request.rules.rules.on_rejected if request.rules else "publish"
    return on_rejected == "publish" or manifest.verdict in {"accepted", "not_checked"}


def judge_again(kept: KeptExport, request: ExportRequest) -> KeptExport:
    """An export that is there already, with the verdict of the request's rules.

    It is checked if it was not checked by the same rules, or if they could not decide; its manifest notes the verdict.
    Without rules it stays as it is, unless it was rejected: then it is not checked any more.
    """
    if _is_settled(kept, request):
        return kept
    manifest = kept.manifest
    compared = manifest.model_copy(update={"previous": _compared_with(kept, request)})
    request.published.at(kept.folder).fetch(_read_for_check(manifest, request.rules))
    judged, reports = _judged(compared, request, read_content(kept.folder, manifest), kept.folder)
    with contextlib.suppress(TransferError, ConfigurationError):  # a place that cannot be written to is no failure
        judged = replace_verdict(request.published, kept, request.staging_root.root, judged, reports)
    return KeptExport(kept.folder, judged)


def needs_imodel(kept: KeptExport, request: ExportRequest) -> bool:
    """True if `judge_again` compares the export with an iModel that has not been read."""
    asks = request.format == "ifc" and request.rules is not None and request.rules.needs_imodel
    return asks and request.names.place is None and not _is_settled(kept, request)


def refusal_of(report: ExportReport) -> RejectedError | None:
    """The error for a report of an export that is rejected or could not be checked; None for all others."""
    if report.verdict not in {"rejected", "error"}:
        return None
    subject = f"The {report.format} export of iModel {report.imodel_id} from {report.changeset_id or 'the baseline'}"
    place, is_aside = place_of(report), is_put_aside(report)
    lies = "It lies in" if is_aside else "It is published in"
    stays = "; readers keep what they had" if is_aside else ""
    ending = f"{reasons(report.checks)}. {lies} {below(report.output_dir, place)}{stays}."
    if report.verdict == "rejected":
        return RejectedError(f"{subject} is rejected by the acceptance rules: {ending}", report)
    return UndecidedError(f"{subject} cannot be checked against the acceptance rules: {ending}", report)


def is_put_aside(report: ExportReport) -> bool:
    """True if the export lies among the rejected ones, where readers do not look."""
    return place_of(report).parent.name == REJECTED


def place_of(report: ExportReport) -> PurePosixPath:
    """The folder of its files, relative to the output folder."""
    published = PurePosixPath(report.imodel_id, report.format)
    return PurePosixPath(report.files[0].path).parent if report.files else published


def is_failure(report: ExportReport, given: GivenRules | None) -> bool:
    """True if the flow run fails by these rules; an export that could not be checked fails unless it is published."""
    on_rejected = given.rules.on_rejected if given else "publish"
    failing = {"fail": {"rejected", "error"}, "quarantine": {"error"}, "publish": set[str]()}
    return report.verdict in failing[on_rejected]


def _judged(
    manifest: Manifest, request: ExportRequest, content: ExportContent, folder: Path
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest with the verdict, and the reports on IDS documents by file name."""
    place = request.names.place or IModelPlace(name=request.names.imodel)
    found = judge(request.rules, content, folder, manifest.previous, place)
    given = request.rules
    applied = AppliedRules(source=given.source, sha256=given.sha256, warnings=found.warnings) if given else None
    judged = {"verdict": found.verdict, "checks": found.checks, "acceptance": applied}
    return manifest.model_copy(update=judged), found.reports


def _read_for_check(manifest: Manifest, given: GivenRules | None) -> list[ManifestFile]:
    """The files that a new check reads: the content report, models for IDS documents; all if there is no report."""
    if not any(file.path == CONTENT_NAME and file.role == "content" for file in manifest.files):
        return list(manifest.files)
    needs_models = given is not None and bool(given.rules.ids)
    return [file for file in manifest.files if file.path == CONTENT_NAME or (needs_models and file.role == "model")]


def _is_settled(kept: KeptExport, request: ExportRequest) -> bool:
    """True if the verdict of an export stays as it is."""
    if _is_decided(kept.manifest, request.rules, _compared_with(kept, request)):
        return True
    return request.rules is None and _is_published(kept)


def _compared_with(kept: KeptExport, request: ExportRequest) -> PreviousExport | None:
    return kept.manifest.previous if _is_published(kept) else _previous_of(request, kept.manifest)


def _is_published(kept: KeptExport) -> bool:
    return kept.folder.parent.name != REJECTED


def _is_decided(manifest: Manifest, given: GivenRules | None, previous: PreviousExport | None) -> bool:
    """True if the same rules decided already, compared with the same export."""
    applied = manifest.acceptance.sha256 if manifest.acceptance else None
    is_same = applied == (given.sha256 if given else None) and manifest.previous == previous
    return is_same and manifest.verdict != "error"


def _previous_of(request: ExportRequest, manifest: Manifest) -> PreviousExport | None:
    """The published export; of the same run, the one before it."""
    published = request.published.read_manifest()
    if published is None:
        return None
    if published.run_id == manifest.run_id:
        return published.previous
    return PreviousExport(
        changeset_id=published.changeset_id, created_at=published.created_at, count=_count_of(published)
    )


def _count_of(manifest: Manifest) -> int | None:
    """Elements or tiles, which earlier releases did not count in IFC files."""
    if manifest.format == "mesh":
        return manifest.tile_count
    return manifest.content.elements if isinstance(manifest.content, IfcSummary) else None
