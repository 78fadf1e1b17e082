"""Parameters of the flow export-mesh, checked before anything is sent."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, model_validator

from blocks.disk import real_path
from blocks.errors import InputError
from blocks.storage.destination.published_export import FolderExport, FolderTileset
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.destination.stored_tileset import StoredTileset
from tasks.options import ExportOptions, ExportRequest, OptionalId, Policy
from tasks.reports import ExportFormat
from tasks.state_dir import FOLDER, StateDir

MeshType = Literal["3DTiles", "CESIUM", "IMODEL"]
Start = Literal["if-missing", "never", "always"]


class MeshPolicy(Policy, frozen=True):
    """Whether tiles are requested; `timeout` counts from the start of the flow run.

    With `start` always, what is published does not count: `force` is set. With `cdn` the tiles come from the platform's
    content delivery network.
    """

    start: Start = "if-missing"
    cdn: bool = False

    @model_validator(mode="before")
    @classmethod
    def _always_is_force(cls, given: object) -> object:
        if isinstance(given, dict) and cast("dict[str, Any]", given).get("start") == "always":
            return {**cast("dict[str, Any]", given), "force": True}
        return cast("object", given)


class MeshOptions(ExportOptions, frozen=True):
    """What export-mesh takes besides its iModel."""

    export_type: MeshType = "3DTiles"
    tile_version: OptionalId = None
    policy: MeshPolicy = MeshPolicy()

    @model_validator(mode="after")
    def _version_is_of_imodel_tiles(self) -> Self:
        if self.tile_version and self.export_type != "IMODEL":
            raise InputError(
                f"tile_version is for tiles of export_type=IMODEL only, not {self.export_type}. Leave it out."
            )
        return self


class MeshRequest(MeshOptions, ExportRequest, frozen=True):
    """One requested mesh export."""

    format: ClassVar[ExportFormat] = "mesh"
    in_folder: ClassVar[type[FolderExport]] = FolderTileset
    in_store: ClassVar[type[StoredExport]] = StoredTileset

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that influence the content; `tile_version` only if there is one."""
        options = super().options
        if self.tile_version is None:
            del options["tile_version"]
        return options

    @property
    def staging_root(self) -> StateDir:
        """Where tilesets are fetched to: beside the folder that a link `mesh` leads to, so that renaming swaps them."""
        target = real_path(self.folder)
        return self.state_dir if target == self.folder else StateDir(target.parent / FOLDER / self.imodel_id)


class MeshSpec(BaseModel):
    """The tiles that are wanted; `first_started` is when the flow run first started, by the platform's clock."""

    model_config = ConfigDict(frozen=True)

    request: MeshRequest
    changeset_id: str
    first_started: datetime

    @property
    def policy(self) -> MeshPolicy:
        """Whether they are requested, and until when to wait."""
        return self.request.policy

    @property
    def subject(self) -> str:
        """What it is about, for messages."""
        changeset = f"changeset {self.changeset_id}" if self.changeset_id else "the baseline"
        return f"{self.request.export_type} tiles of {changeset} of iModel {self.request.imodel_id}"
