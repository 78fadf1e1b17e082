"""Rows of `itwin-export list exports`: what the manifests of a folder say."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from blocks.errors import InputError
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.manifest import Manifest, read_manifest
from deployments.cli.listed_rows import Row

FORMATS = ("ifc", "mesh")
_AT_ONCE = 16
PATTERNS = tuple(
    f"*/{chosen}{place}/{MANIFEST_NAME}" for chosen in FORMATS for place in ("", "/history/*", "/rejected/*")
)
"""Current exports, earlier ones that were kept, and those that acceptance rules rejected."""


def list_exports(output_dir: Path) -> list[Row]:
    """The exports in a folder: those of one iModel together, the newest first.

    Raises:
        InputError: There is no such folder.
    """
    if not output_dir.is_dir():
        raise InputError(f"{output_dir} is no folder. Name the folder of the exports, or set ITWIN_OUTPUT_DIR.")
    return _rows(
        (PurePosixPath(folder.relative_to(output_dir)), manifest) for folder, manifest in _manifests(output_dir)
    )


def list_stored_exports(store: ObjectStore) -> list[Row]:
    """The exports in an object store, in the same order; two requests for each iModel.

    Raises:
        ExportError: The store cannot be read.
    """
    keys = [f"{imodel}/{chosen}" for imodel in store.folders() for chosen in FORMATS if not imodel.startswith(".")]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(StoredExport.see, [StoredExport(store, key, Path()) for key in keys]))
    manifests = zip(map(PurePosixPath, keys), (seen.manifest for seen in found), strict=True)
    return _rows((folder, manifest) for folder, manifest in manifests if manifest)


def _rows(manifests: Iterable[tuple[PurePosixPath, Manifest]]) -> list[Row]:
    found = sorted(manifests, key=lambda one: one[1].created_at, reverse=True)
    found.sort(key=lambda one: ((one[1].imodel_name or "").casefold(), one[1].imodel_id, one[1].format))
    return [_row(folder, manifest) for folder, manifest in found]


def _manifests(output_dir: Path) -> Iterator[tuple[Path, Manifest]]:
    for pattern in PATTERNS:
        for path in output_dir.glob(pattern):
            if (manifest := read_manifest(path.parent)) is not None:
                yield path.parent, manifest


def _row(folder: PurePosixPath, manifest: Manifest) -> Row:
    version = manifest.named_version
    return {
        "imodel": manifest.imodel_name,
        "format": manifest.format,
        "named_version": version.name if version else None,
        "changeset_index": manifest.changeset_index,
        "exported_at": manifest.created_at,
        "bytes": manifest.total_bytes,
        "result": manifest.result,
        "verdict": None if manifest.verdict == "not_checked" else manifest.verdict,
        "warnings": len(manifest.warnings) or None,
        "folder": folder.as_posix(),
        "changeset_id": manifest.changeset_id,
        "imodel_id": manifest.imodel_id,
    }
