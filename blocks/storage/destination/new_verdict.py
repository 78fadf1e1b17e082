"""The verdict of a new check, noted on an export that is there already."""

from collections.abc import Mapping
from pathlib import Path

from blocks.storage.content_file import is_report
from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest


def replace_verdict(
    published: PublishedExport, kept: KeptExport, staging_root: Path, judged: Manifest, reports: Mapping[str, bytes]
) -> Manifest:
    """Note the verdict in the manifest of an export, and replace its reports; returns the manifest.

    A manifest without verdict and reports comes first: a process that dies meanwhile leaves an export that is whole and
    is checked again. Nothing is replaced if another process has published meanwhile.

    Raises:
        ExportError: The disk or the store refuses.
    """
    before = kept.manifest
    unlisted = tuple(file for file in before.files if not is_report(file))
    if not reports and unlisted == before.files:
        published.replace_manifest(kept, staging_root, judged)
        return judged
    unchecked = before.model_copy(
        update={"files": unlisted, "verdict": "not_checked", "checks": (), "acceptance": None}
    )
    if not published.replace_manifest(kept, staging_root, unchecked):
        return judged
    judged = published.at(kept.folder).write_reports(judged, reports)
    published.replace_manifest(KeptExport(kept.folder, unchecked), staging_root, judged)
    return judged
