"""The manifest of a published export: request, result, and sizes and hashes of its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_json

from blocks.disk import disk_errors, write_whole
from blocks.errors import ContentError, DiskError
from blocks.kept_model import KeptModel
from blocks.shared_folder import read_bounded
from blocks.storage.acceptance.checks import Check, Verdict
from blocks.storage.acceptance.comparison import PreviousExport
from blocks.storage.content.difference import Difference
from blocks.storage.content.models import ContentSummary
from blocks.storage.file_names import MANIFEST_NAME, find_unstorable

LONGEST_MANIFEST = 256 * 1024 * 1024
"""Maximum size in bytes; a tileset of 900,000 files has one of that size."""
Role = Literal["model", "log", "tileset", "tile", "content", "preview"]

EXPORT_FORMAT = 1
"""Version of the output files, increased when the same iModel, changeset and options give other files than before.
Exports with a lower number are repeated. A release that does not change the files keeps the number."""
FIRST_EXPORT_FORMAT = 1
"""The number assumed for manifests that were written before it existed."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of an export; a dataclass, because 50 000 pydantic models would take 60 MB.

    Attributes:
        path: Relative to the manifest, with forward slashes.
        size: In bytes.
        sha256: Hex digits; empty for a tile whose MD5 was promised and checked, unless both are asked for.
        mtime_ns: Modification time of the published file, nanoseconds since 1970.
        etag: ETag from the server, for tiles that a later export may reuse.
        md5: Hex digits, if the server named one.
    """

    path: str
    role: Role
    size: int
    sha256: str
    mtime_ns: int = 0
    etag: str | None = None
    md5: str | None = None

    @property
    def digest(self) -> tuple[str, str]:
        """The name of a hash, and what it is in hex digits."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5 or "")

    def differs_from(self, digests: Mapping[str, str]) -> bool:
        """True if one of these digests, by the name of the hash, is recorded with another value."""
        recorded = {"sha256": self.sha256, "md5": self.md5}
        return any(recorded.get(algorithm) not in {None, "", digest} for algorithm, digest in digests.items())

    def has_content_of(self, other: "ManifestFile") -> bool:
        """True if size and a hash that both have are the same."""
        if self.size != other.size:
            return False
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return self.md5 is not None and self.md5 == other.md5


class VersionFacts(KeptModel):
    """The named version that an export was made of, as it was called then."""

    id: str
    name: str
    description: str | None = None
    created_at: datetime | None = None


class AppliedRules(BaseModel):
    """Acceptance rules that were checked: where they came from, and the hash of what they say."""

    model_config = ConfigDict(frozen=True)

    source: str
    sha256: str
    warnings: tuple[str, ...] = ()


class Manifest(KeptModel):
    """The request and the result of one export.

    Attributes:
        imodel_name: None if it was not known.
        changeset_index: None if it was not known; 0 is the baseline.
        named_version: The named version that was asked for.
        run_id: Id of the export run, or of the mesh export.
        export_format: `EXPORT_FORMAT` of the release that wrote the files.
        adopted: The run was started by another caller with the same options.
        warnings: Limitations of the files, for example that the platform left something out.
        verdict: What the acceptance rules said when they were last checked.
        checks: Each of those rules with its limit and what was measured.
        acceptance: The rules that were checked last; None if there were none.
        previous: The export that was published before this one.
        content: Short form of `content.json`; None if an earlier release exported the files.
        difference: What changed since the export before, in short; None if there was none to compare with.
        preview_reason: Why there is no `preview.png`, or what the picture lacks; empty if none was asked for.
        versions: Versions of this tool and its libraries.
        published_etags: ETags of the objects by path, where the export lies in an object store.
        generation: Folder of the tiles in an object store, where `tileset.json` only refers to the one in there.
    """

    manifest_version: Literal[1] = 1
    api_url: str
    imodel_id: str
    imodel_name: str | None = None
    changeset_id: str | None
    changeset_index: int | None = None
    named_version: VersionFacts | None = None
    format: Literal["ifc", "mesh"]
    options: dict[str, JsonValue] = Field(default={})
    tool_version: str
    export_format: int = FIRST_EXPORT_FORMAT
    run_id: str | None = None
    connection_id: str | None = None
    adopted: bool = False
    result: str = ""
    warnings: tuple[str, ...] = ()
    verdict: Verdict = "not_checked"
    checks: tuple[Check, ...] = ()
    acceptance: AppliedRules | None = None
    previous: PreviousExport | None = None
    files: tuple[ManifestFile, ...] = ()
    tile_count: int = 0
    total_bytes: int = 0
    content: ContentSummary | None = None
    difference: Difference | None = None
    preview_reason: str = ""
    versions: dict[str, str] = Field(default={})
    published_etags: dict[str, str] = Field(default={})
    generation: str = ""
    created_at: datetime


def with_modification_time(file: ManifestFile, path: Path) -> ManifestFile:
    """The manifest's entry of a staged file, with the modification time of the file at that path.

    Raises:
        DiskError: There is no such file any more.
        ContentError: It has another size than the entry says.
    """
    if not path.is_file():
        raise DiskError(f"{file.path} was removed before it could be published. Run the same again.")
    state = path.stat()
    if state.st_size != file.size:
        raise ContentError(f"{file.path} has {state.st_size} bytes instead of {file.size}.")
    return replace(file, mtime_ns=state.st_mtime_ns)


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a published export; None if it is missing or invalid.

    Others may have written it: one that lists a name outside its folder, that is a symbolic link or that is longer than
    `LONGEST_MANIFEST` is invalid.
    """
    try:
        manifest = Manifest.model_validate_json(read_bounded(folder / MANIFEST_NAME, LONGEST_MANIFEST))
    except (OSError, ValidationError):
        return None
    return manifest if find_unstorable(file.path for file in manifest.files) is None else None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest atomically.

    Raises:
        DiskError: The file cannot be written.
    """
    with disk_errors(folder):
        write_whole(folder / MANIFEST_NAME, to_json(manifest, indent=1))
