"""How far a batch had come whose flow run has ended early: read from the disk, because its process may be gone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from blocks.storage.file_names import MANIFEST_NAME
from blocks.storage.manifest import Manifest, read_manifest
from blocks.timestamps import parse_timestamp
from tasks.addresses import is_id
from tasks.batch.reports import BegunBatch, read_begun_batch
from tasks.reports import ExportFormat
from tasks.state_dir import StateDir

NameRemoteRun = Callable[[StateDir, str], str]
"""Which export run the platform has for a flow run, and what that run does; empty if there is none."""
_CLOCK_TOLERANCE = timedelta(minutes=5)
"""Between this machine and one that serves the folder; manifests that are clearly older are not read."""


@dataclass(frozen=True)
class UnfinishedBatch:
    """What a batch began to export.

    Attributes:
        published: Manifests of what it published, without their files.
        remote_runs: Names of iModels whose export is not published, and what the export run at the platform does.
    """

    begun: BegunBatch
    published: tuple[Manifest, ...] = ()
    remote_runs: tuple[tuple[str, str], ...] = ()

    @property
    def total(self) -> int:
        """How many exports it was to make."""
        return len(self.begun.names) * len(self.begun.formats)

    @property
    def lacks_tiles(self) -> bool:
        """True if it was to publish tilesets and has not published all of them."""
        tilesets = sum(one.format == "mesh" for one in self.published)
        return "mesh" in self.begun.formats and tilesets < len(self.begun.names)


def read_unfinished(output_dir: Path, flow_run_id: str, itwin: str, name_remote_run: NameRemoteRun) -> UnfinishedBatch:
    """How far a flow run had come; `itwin` is what it was to export if it had not begun."""
    begun = read_begun_batch(output_dir, flow_run_id)
    if begun is None:
        return UnfinishedBatch(BegunBatch(itwin_id=itwin, formats=(), names={}))
    published = tuple(_published(output_dir, begun))
    done = {one.imodel_id.lower() for one in published if one.format == "ifc"}
    runs = tuple(
        (name, said)
        for imodel_id, name in begun.names.items()
        if is_id(imodel_id) and imodel_id not in done
        if (said := name_remote_run(StateDir.of_imodel(output_dir, imodel_id), flow_run_id))
    )
    return UnfinishedBatch(begun, published, runs)


def _published(output_dir: Path, begun: BegunBatch) -> Iterator[Manifest]:
    for imodel_id in filter(is_id, begun.names):
        for export_format in begun.formats:
            if manifest := _new_manifest(output_dir / imodel_id / export_format, begun, export_format):
                yield manifest


def _new_manifest(folder: Path, begun: BegunBatch, export_format: ExportFormat) -> Manifest | None:
    """The manifest of an export, if it was made since the batch began."""
    try:
        changed = (folder / MANIFEST_NAME).stat().st_mtime
    except OSError:
        return None
    if changed < (begun.begun_at - _CLOCK_TOLERANCE).timestamp():
        return None
    manifest = read_manifest(folder)
    made = parse_timestamp(manifest.created_at) if manifest else None
    if manifest is None or manifest.format != export_format or not isinstance(made, datetime) or made < begun.begun_at:
        return None
    return manifest.model_copy(update={"files": ()})
