"""What a person asks for when it is tiles, checked before anything is sent."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

from blocks.disk import real_path, require_writable
from tasks.options import (
    ExportRequest,
    Policy,
    check_changeset,
    check_choice,
    check_guid,
    check_output_dir,
    check_timeout,
)
from tasks.reports import ExportFormat

MeshType = Literal["3DTiles", "CESIUM", "IMODEL"]
Start = Literal["if-missing", "never", "always"]


class MeshRequest(ExportRequest):
    """One mesh export as asked for."""

    format: ClassVar[ExportFormat] = "mesh"

    export_type: MeshType = "3DTiles"

    @property
    def staging_root(self) -> Path:
        """Where tilesets are fetched to: beside the folder that a link `mesh` leads to, so that renaming swaps them."""
        target = real_path(self.folder)
        return self.state_dir if target == self.folder else target.parent / ".itwin-export" / self.imodel_id


class MeshPolicy(Policy):
    """How tiles are to be had: by themselves or by request; `timeout` counts from the start of the flow run."""

    start: Start = "if-missing"


class MeshSpec(BaseModel):
    """The tiles that are wanted; `first_started` is when the flow run first started, by the platform's clock."""

    model_config = ConfigDict(frozen=True)

    request: MeshRequest
    policy: MeshPolicy
    changeset_id: str
    first_started: datetime

    @property
    def subject(self) -> str:
        """What it is about, for messages."""
        changeset = f"changeset {self.changeset_id}" if self.changeset_id else "the baseline"
        return f"{self.request.export_type} tiles of {changeset} of iModel {self.request.imodel_id}"


def check_mesh_asked(parameters: Mapping[str, Any]) -> tuple[MeshRequest, MeshPolicy]:
    """What the parameters of the flow ask for, and how.

    Raises:
        InputError: Something cannot be understood or served; the sentence names it and says what to do.
    """
    check_choice(parameters["export_type"], "export_type", get_args(MeshType))
    check_choice(parameters["start"], "start", get_args(Start))
    request = MeshRequest(
        imodel_id=check_guid(parameters["imodel_id"], "iModel id"),
        changeset_id=check_changeset(parameters["changeset_id"]),
        output_dir=check_output_dir(parameters["output_dir"]),
        export_type=parameters["export_type"],
    )
    policy = MeshPolicy(
        timeout=check_timeout(parameters["timeout_minutes"]),
        force=parameters["force"] or parameters["start"] == "always",
        verify=parameters["verify"],
        start=parameters["start"],
    )
    require_writable(request.output_dir)
    return request, policy
