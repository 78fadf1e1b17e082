"""Decide whether a published export is current, and report it."""

from datetime import UTC, datetime

from blocks.storage.manifest import EXPORT_FORMAT, Manifest, read_manifest
from blocks.storage.publish import verify_published
from tasks.options import ExportRequest
from tasks.reports import ExportedFile, ExportReport

BASELINE = ""
"""Stands for the state of an iModel before its first changeset."""


def find_current(request: ExportRequest, changeset_id: str, api_url: str) -> Manifest | None:
    """The manifest of a published export with the same request and changeset; None if there is none or `force` is set.

    Raises:
        ContentError: There is such an export, but its files are damaged.
    """
    manifest = None if request.policy.force else read_manifest(request.folder)
    if manifest is None or _identity_of(manifest) != _wanted_identity(request, changeset_id, api_url):
        return None
    verify_published(request.folder, manifest, full=request.policy.verify)
    return manifest


def report_unchanged(manifest: Manifest, request: ExportRequest) -> ExportReport:
    """Report an export that is skipped because it is current."""
    now = datetime.now(UTC)
    report = report_of(manifest, request, started_at=now)
    return report.model_copy(update={"skipped": True, "adopted": False, "finished_at": now})


def _identity_of(manifest: Manifest) -> tuple[object, ...]:
    return (
        manifest.format,
        manifest.imodel_id,
        manifest.changeset_id,
        manifest.options,
        manifest.api_url,
        manifest.export_format,
    )


def _wanted_identity(request: ExportRequest, changeset_id: str, api_url: str) -> tuple[object, ...]:
    return (request.format, request.imodel_id, changeset_id, request.options, api_url, EXPORT_FORMAT)


def report_of(manifest: Manifest, request: ExportRequest, *, started_at: datetime) -> ExportReport:
    """Create the report from a manifest; tiles are counted, and only the manifest lists them."""
    folder = request.folder.relative_to(request.output_dir).as_posix()
    return ExportReport(
        imodel_id=manifest.imodel_id,
        changeset_id=manifest.changeset_id or "",
        format=manifest.format,
        connection_id=manifest.connection_id,
        run_id=manifest.run_id,
        result=manifest.result,
        adopted=manifest.adopted,
        warnings=manifest.warnings,
        files=tuple(
            ExportedFile.model_validate(
                {"path": f"{folder}/{file.path}", "role": file.role, "size": file.size, "sha256": file.sha256}
            )
            for file in manifest.files
            if file.role != "tile"
        ),
        tile_count=manifest.tile_count,
        total_bytes=manifest.total_bytes,
        output_dir=str(request.output_dir),
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )
