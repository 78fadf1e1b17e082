"""Compare an export that is about to be published with the one that is published."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue

from blocks.shared_folder import open_regular
from blocks.storage.content.difference import Change, ExportBefore, Files, IfcDifference, TilesetDifference
from blocks.storage.content.global_ids import GLOBAL_IDS_NAME, GlobalIdListError, GlobalIds
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest

log = logging.getLogger("prefect.itwin")


def compare_global_ids(
    published: Path, global_ids: GlobalIds, options: Mapping[str, JsonValue]
) -> IfcDifference | None:
    """Compare with the list of GlobalIds in a published folder; None if there is no export or it has no such list."""
    before = read_manifest(published)
    if before is None:
        return None
    try:
        classes = _changes(published, _listed(before), global_ids)
    except (OSError, GlobalIdListError) as error:
        log.info("There is no difference to the export before, in %s: %s", published, error)
        return None
    changes = list(classes.values())
    return IfcDifference(
        before=_facts(before, options),
        added=sum(change.added for change in changes),
        gone=sum(change.gone for change in changes),
        kept=sum(change.kept for change in changes),
        changed_classes=sum(1 for change in changes if change.added or change.gone),
        classes=classes,
    )


def global_ids_before(published: Path) -> tuple[ManifestFile, ...]:
    """The list of GlobalIds that `compare_global_ids` reads in a published folder; none if there is none."""
    before = read_manifest(published)
    return tuple(filter(None, [_listed(before) if before else None]))


def compare_tiles(
    published: Path, files: Iterable[ManifestFile], options: Mapping[str, JsonValue]
) -> TilesetDifference | None:
    """Compare with the files that the manifest of a published tileset lists; None if there is none."""
    before = read_manifest(published)
    if before is None:
        return None
    old = {file.path: file for file in before.files if file.role != "content"}
    new = {file.path: file for file in files}
    same = {path for path in new.keys() & old.keys() if new[path].has_content_of(old[path])}
    return TilesetDifference(
        before=_facts(before, options),
        added=_total(new[path] for path in new.keys() - old.keys()),
        changed=_total(new[path] for path in (new.keys() & old.keys()) - same),
        gone=_total(old[path] for path in old.keys() - new.keys()),
        kept=_total(new[path] for path in same),
    )


def _listed(before: Manifest) -> ManifestFile | None:
    return next((file for file in before.files if file.path == GLOBAL_IDS_NAME), None)


def _changes(folder: Path, listed: ManifestFile | None, global_ids: GlobalIds) -> dict[str, Change]:
    if listed is None:
        raise GlobalIdListError("It has no list of its GlobalIds, for an earlier release made it.")
    with open_regular(folder / listed.path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != listed.sha256:
            raise GlobalIdListError(f"{listed.path} is not the file that was published.")
        return global_ids.changes_since(file)


def _facts(before: Manifest, options: Mapping[str, JsonValue]) -> ExportBefore:
    return ExportBefore(
        changeset_id=before.changeset_id,
        changeset_index=before.changeset_index,
        created_at=before.created_at,
        same_options=before.options == options,
    )


def _total(files: Iterable[ManifestFile]) -> Files:
    sizes = [file.size for file in files]
    return Files(files=len(sizes), size=sum(sizes))
