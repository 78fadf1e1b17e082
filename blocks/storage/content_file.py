"""The content report of an export, and the list of its GlobalIds, as files beside its manifest."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from blocks.disk import disk_errors, write_whole
from blocks.shared_folder import read_bounded, remove_inside
from blocks.storage.content.global_ids import GLOBAL_IDS_NAME, GlobalIds
from blocks.storage.content.ifc_content import read_ifc_content
from blocks.storage.content.models import CONTENT_NAME, ExportContent
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.publish import sha256_of
from blocks.storage.tileset.verify import verify_tileset

_REPORT = re.compile(r"acceptance(-\d+)?\.(html|json)")
LONGEST_CONTENT = 64 * 1024 * 1024


def write_content(folder: Path, content: ExportContent) -> ManifestFile:
    """Write `content.json` into a staging folder, to be published with the files it is about.

    Raises:
        DiskError: The file cannot be written.
    """
    return _write(folder, CONTENT_NAME, content.model_dump_json(indent=1).encode())


def write_reports(folder: Path, reports: Mapping[str, bytes]) -> tuple[ManifestFile, ...]:
    """Write the reports on IDS documents into a folder.

    Raises:
        DiskError: A file cannot be written.
    """
    return tuple(_write(folder, name, content) for name, content in reports.items())


def replace_reports(
    folder: Path, files: Sequence[ManifestFile], reports: Mapping[str, bytes]
) -> tuple[ManifestFile, ...]:
    """Write reports beside the files of an export in place of those of an earlier check; returns all its files.

    Raises:
        DiskError: A file cannot be written.
    """
    earlier = [file for file in files if is_report(file)]
    written = write_reports(folder, reports)
    for file in earlier:
        if file.path not in reports:
            with suppress(OSError):
                remove_inside(folder, file.path)
    return (*(file for file in files if file not in earlier), *written)


def is_report(file: ManifestFile) -> bool:
    """True for a report on an IDS document."""
    return file.role == "content" and _REPORT.fullmatch(file.path) is not None


def _write(folder: Path, name: str, content: bytes) -> ManifestFile:
    with disk_errors(folder):
        write_whole(folder / name, content)
    return ManifestFile(path=name, role="content", size=len(content), sha256=hashlib.sha256(content).hexdigest())


def write_global_ids(folder: Path, global_ids: GlobalIds) -> ManifestFile:
    """Write `global-ids.bin` into a staging folder, so that the next export can be compared with this one.

    It lies beside the files, not below `.itwin-export`: it is published with them, goes into the history with them, and
    can be looked at in a copy of the export.

    Raises:
        DiskError: The file cannot be written.
    """
    path = folder / GLOBAL_IDS_NAME
    with disk_errors(folder):
        with path.open("wb") as file:
            global_ids.write(file)
        return ManifestFile(path=path.name, role="content", size=path.stat().st_size, sha256=sha256_of(path))


def read_content(folder: Path, manifest: Manifest) -> ExportContent:
    """The content report of an export that is there already; its files are read if it has none.

    Raises:
        ContentError: It has none, and its tileset is not whole.
        DiskError: It has none, and an IFC file cannot be read.
    """
    try:
        if any((file.role, file.path) == ("content", CONTENT_NAME) for file in manifest.files):
            return ExportContent.model_validate_json(read_bounded(folder / CONTENT_NAME, LONGEST_CONTENT))
    except (OSError, ValidationError):
        pass
    models = [folder / file.path for file in manifest.files if file.role == "model"]
    return make_content(folder, models)


def make_content(folder: Path, models: Sequence[Path]) -> ExportContent:
    """The content of IFC files, or where there are none of the tileset in the folder.

    Raises:
        ContentError: The tileset is not whole.
        DiskError: An IFC file cannot be read.
    """
    if models:
        return ExportContent(ifc=tuple(read_ifc_content(model) for model in models))
    return ExportContent(tileset=verify_tileset(folder).content)
