"""The note beside an export: what was asked, what came, and how to tell that it is still the same."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic_core import to_json

from blocks.disk import disk_errors, write_whole
from blocks.storage.file_names import MANIFEST_NAME

Role = Literal["model", "log", "tileset", "tile"]

EXPORT_FORMAT = 1
"""Raised when the same iModel, changeset and options lead to other files than before: exports of a lower number are
made anew. A release that changes nothing about the files leaves it as it is."""
FIRST_EXPORT_FORMAT = 1
"""What manifests have that were written before the number was."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of an export; no pydantic model, of which 50 000 would take 60 MB.

    Attributes:
        path: Relative to the manifest, with forward slashes.
        etag: Version and digest the server gave, where it matters for the next fetch.
        md5: Hex digits.
    """

    path: str
    role: Role
    size: int
    sha256: str
    mtime_ns: int = 0
    etag: str | None = None
    md5: str | None = None


class Manifest(BaseModel):
    """What was asked for and what came of it.

    Attributes:
        run_id: Of the export run, or of the mesh export.
        export_format: `EXPORT_FORMAT` of the tool that made the files.
        adopted: The run was somebody else's and fitted.
        warnings: What a reader of the files has to know, such as that the platform left something out.
        versions: Tools and libraries that took part.
    """

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[1] = 1
    api_url: str
    imodel_id: str
    changeset_id: str | None
    format: Literal["ifc", "mesh"]
    options: dict[str, JsonValue] = {}
    tool_version: str
    export_format: int = FIRST_EXPORT_FORMAT
    run_id: str | None = None
    connection_id: str | None = None
    adopted: bool = False
    result: str = ""
    warnings: tuple[str, ...] = ()
    files: tuple[ManifestFile, ...] = ()
    tile_count: int = 0
    total_bytes: int = 0
    versions: dict[str, str] = {}
    created_at: datetime


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a published export; none when there is none that makes sense."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in place, whole.

    Raises:
        DiskError: The disk refuses it.
    """
    with disk_errors(folder):
        write_whole(folder / MANIFEST_NAME, to_json(manifest, indent=1))
