"""Mesh exports: generated when an iModel changes or is listed for the first time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from deployments.sandbox.clock import Clock
from deployments.sandbox.content.tiles import TilesSubject, build_tiles
from deployments.sandbox.ids import guid
from deployments.sandbox.state.blobs import BlobAccount
from deployments.sandbox.state.entities import IModel
from deployments.sandbox.state.options import Options

KEPT = 5
"""How many automatic exports of one iModel and type are kept."""
_WAITING = 0.2
"""Fraction of the duration that an export is NotStarted."""
DEFAULT_TYPE = "3DTiles"
TYPES = {name.lower(): name for name in ("3DFT", "CESIUM", "IMODEL", DEFAULT_TYPE)}
Status = Literal["NotStarted", "InProgress", "Complete", "Invalid"]


@dataclass(slots=True)
class MeshExport:
    """One tileset; its container has the same name."""

    id: str
    imodel: IModel
    changeset_id: str
    changeset_index: int
    export_type: str
    started_at: datetime
    seconds: float
    is_automatic: bool
    ending: Status = "Complete"

    def status(self, now: datetime) -> Status:
        """Its status at this time."""
        passed = (now - self.started_at).total_seconds()
        if passed >= self.seconds:
            return self.ending
        return "NotStarted" if passed < self.seconds * _WAITING else "InProgress"

    def modified_at(self, now: datetime) -> datetime:
        """When it last changed."""
        return min(now, self.started_at + timedelta(seconds=self.seconds))


class Meshes:
    """Every mesh export of a sandbox."""

    def __init__(self, clock: Clock, options: Options, blobs: BlobAccount) -> None:
        self._clock, self._options, self._blobs = clock, options, blobs
        self._serial = 0
        self._endings: dict[str, list[Status]] = {}
        self.exports: dict[str, MeshExport] = {}
        self.listings: dict[str, int] = {}

    def script(self, imodel_id: str, *endings: Status) -> None:
        """How the next generations of this iModel's tiles end."""
        self._endings.setdefault(imodel_id, []).extend(endings)

    def of(self, imodel_id: str, export_type: str = DEFAULT_TYPE) -> list[MeshExport]:
        """The exports of an iModel, oldest first."""
        found = list(self.exports.values())
        return [m for m in found if m.imodel.id == imodel_id and m.export_type == export_type]

    def ensure_latest(self, imodel: IModel, export_type: str = DEFAULT_TYPE) -> None:
        """Generate tiles of the latest changeset, and delete all but the newest few, as the platform does by itself."""
        if self._options.mesh_generation == "manual" or imodel.state != "initialized":
            return
        latest = imodel.latest
        changeset_id, index = (latest.id, latest.index) if latest else ("", 0)
        if self.find(imodel, changeset_id, export_type) is None:
            self.start(imodel, changeset_id, index, export_type, is_automatic=True)
        automatic = [m for m in self.of(imodel.id, export_type) if m.is_automatic]
        for old in automatic[:-KEPT]:
            self.delete(old)

    def find(self, imodel: IModel, changeset_id: str, export_type: str) -> MeshExport | None:
        """The newest export of this changeset and type, in any status."""
        same = [m for m in self.of(imodel.id, export_type) if m.changeset_id == changeset_id]
        return same[-1] if same else None

    def start(
        self, imodel: IModel, changeset_id: str, index: int, export_type: str, *, is_automatic: bool = False
    ) -> MeshExport:
        """Start an export."""
        self._serial += 1
        key = guid("mesh", imodel.id, changeset_id, export_type, self._serial)
        seconds = imodel.mesh_seconds if imodel.mesh_seconds is not None else self._options.mesh_seconds
        export = MeshExport(key, imodel, changeset_id, index, export_type, self._clock.now(), seconds, is_automatic)
        waiting = self._endings.get(imodel.id)
        if waiting:
            export.ending = waiting.pop(0)
        self.exports[key] = export
        return export

    def delete(self, export: MeshExport) -> None:
        """Remove an export and its tiles."""
        self.exports.pop(export.id, None)
        self._blobs.containers.pop(export.id, None)

    def link(self, export: MeshExport, *, with_listing: bool) -> str:
        """Path and SAS of the container; the first call makes its tiles."""
        if export.id not in self._blobs.containers:
            subject = TilesSubject(export.imodel.id, export.changeset_id or "baseline", export.imodel.tiles)
            tiles = build_tiles(subject, export.modified_at(self._clock.now()))
            self._blobs.containers[export.id] = tiles
        permissions = "rl" if with_listing else "r"
        return self._blobs.signed_path(export.id, permissions=permissions, seconds=self._options.mesh_link_seconds)
