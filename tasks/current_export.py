"""Decide whether a published export is current, and report it."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from blocks.errors import ConfigurationError, ContentError, TransferError
from blocks.storage.history import KeptExport
from blocks.storage.manifest import EXPORT_FORMAT, Manifest
from tasks.options import ExportRequest
from tasks.reports import ExportedFile, ExportedVersion, ExportReport

BASELINE = ""
"""Stands for the state of an iModel before its first changeset."""


def find_current(request: ExportRequest, changeset_id: str, api_url: str) -> KeptExport | None:
    """A published export with the same request and changeset; None if there is none or `force` is set.

    Where the request names a changeset or version, one in the history serves as well as the current one.

    Raises:
        ContentError: There is such an export, but its files are damaged.
    """
    if request.policy.force:
        return None
    manifest = request.published.read_manifest()
    published = [KeptExport(request.folder, manifest)] if manifest else []
    if request.names_changeset:
        published += request.published.read_history()
    wanted = _wanted_identity(request, changeset_id, api_url)
    same = [export for export in published if _identity_of(export.manifest) == wanted]
    if not same:
        return None
    request.published.verify(same[0], full=request.policy.verify)
    return same[0]


def find_rejected(request: ExportRequest, changeset_id: str, api_url: str) -> KeptExport | None:
    """A whole export with the same request and changeset that acceptance rules rejected; None if `force` is set."""
    wanted = _wanted_identity(request, changeset_id, api_url)
    for export in () if request.policy.force else request.published.read_rejected():
        with contextlib.suppress(ContentError):
            if _identity_of(export.manifest) == wanted:
                request.published.verify(export, full=request.policy.verify)
                return export
    return None


def report_unchanged(published: KeptExport, request: ExportRequest) -> ExportReport:
    """Report an export that is skipped because it is there; its manifest notes what its version is called now."""
    _note_version(published, request)
    now = datetime.now(UTC)
    report = report_of(published.manifest, request, started_at=now, folder=published.folder)
    return report.model_copy(update={"skipped": True, "adopted": False, "finished_at": now})


def _note_version(published: KeptExport, request: ExportRequest) -> None:
    """Note the named version of a changeset that was exported before it had that name, or by another one."""
    manifest, version = published.manifest, request.names.version
    if version is None or version == manifest.named_version:
        return
    noted = manifest.model_copy(update={"named_version": version, "changeset_index": request.names.changeset_index})
    with contextlib.suppress(TransferError, ConfigurationError):  # a place that cannot be written to is no failure
        request.published.replace_manifest(published, request.staging_root.root, noted)


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


def _index_of(manifest: Manifest, request: ExportRequest) -> int | None:
    """The index as it was noted, or as it is known now of the same changeset; earlier manifests have none."""
    known = request.names.changeset_index if manifest.changeset_id is not None else None
    return manifest.changeset_index if manifest.changeset_index is not None else known


def report_of(
    manifest: Manifest, request: ExportRequest, *, started_at: datetime, folder: Path | None = None
) -> ExportReport:
    """Create the report from a manifest in the published folder, or another one of the output folder.

    Tiles are counted, and only the manifest lists them.
    """
    place = (folder or request.folder).relative_to(request.output_dir).as_posix()
    version = request.names.version or manifest.named_version
    applied = manifest.acceptance if request.rules else None
    return ExportReport(
        imodel_id=manifest.imodel_id,
        imodel_name=request.names.imodel or manifest.imodel_name,
        changeset_id=manifest.changeset_id or "",
        changeset_index=_index_of(manifest, request),
        named_version=ExportedVersion(id=version.id, name=version.name) if version else None,
        format=manifest.format,
        connection_id=manifest.connection_id,
        run_id=manifest.run_id,
        result=manifest.result,
        adopted=manifest.adopted,
        warnings=(*manifest.warnings, *(applied.warnings if applied else ())),
        verdict=manifest.verdict if request.rules else "not_checked",
        checks=manifest.checks if request.rules else (),
        files=_reported_files(manifest, place),
        tile_count=manifest.tile_count,
        total_bytes=manifest.total_bytes,
        content=manifest.content,
        difference=manifest.difference,
        preview=next((f"{place}/{file.path}" for file in manifest.files if file.role == "preview"), None),
        preview_reason=manifest.preview_reason,
        output_dir=request.output,
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )


def _reported_files(manifest: Manifest, place: str) -> tuple[ExportedFile, ...]:
    """Models, logs and tileset documents, with paths in the output folder."""
    return tuple(
        ExportedFile.model_validate(
            {"path": f"{place}/{file.path}", "role": file.role, "size": file.size, "sha256": file.sha256}
        )
        for file in manifest.files
        if file.role not in {"tile", "content", "preview"}
    )
