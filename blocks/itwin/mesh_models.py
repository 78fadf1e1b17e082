"""Models of the Mesh Export API's responses.

Vendor page: https://developer.bentley.com/apis/mesh-export/operations/.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from blocks.itwin.models import Link, PlatformModel, Timestamp, member_by_name


class MeshStatus(StrEnum):
    """Status of a mesh export."""

    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    COMPLETE = "Complete"
    INVALID = "Invalid"

    @property
    def is_terminal(self) -> bool:
        """True if the status is final."""
        return self in {MeshStatus.COMPLETE, MeshStatus.INVALID}


def _known_status(value: object) -> object:
    return member_by_name(MeshStatus, value, MeshStatus.NOT_STARTED)


class MeshRequest(PlatformModel):
    """The iModel, changeset and type of a mesh export; an empty changeset is the baseline."""

    imodel_id: str = Field(default="", alias="iModelId")
    changeset_id: str | None = None
    export_type: str = ""


class MeshLinks(PlatformModel):
    """Links of a mesh export; `mesh` is a SAS URL that gives read access, so it is left out of the repr."""

    mesh: Link | None = Field(default=None, repr=False)


class MeshExport(PlatformModel):
    """A tileset of one changeset; `request` and `links` are returned with `Prefer: return=representation` only."""

    id: str
    display_name: str = ""
    status: Annotated[MeshStatus | str, BeforeValidator(_known_status)] = MeshStatus.NOT_STARTED
    last_modified: Timestamp = None
    request: MeshRequest | None = None
    error: str | None = None
    links: MeshLinks | None = Field(default=None, alias="_links")

    @property
    def is_complete(self) -> bool:
        """True if the tiles can be downloaded."""
        return self.status is MeshStatus.COMPLETE

    @property
    def is_invalid(self) -> bool:
        """True if the platform could not generate the tiles."""
        return self.status is MeshStatus.INVALID

    @property
    def mesh_url(self) -> str:
        """The SAS URL of the container with the tiles; empty while there is none."""
        return self.links.mesh.href if self.links and self.links.mesh else ""

    def is_of(self, changeset_id: str, export_type: str) -> bool:
        """True if the tiles are of that changeset and type, ignoring case: 3DTiles and 3DTILES both occur."""
        request = self.request
        return (
            request is not None
            and (request.changeset_id or "").lower() == changeset_id.lower()
            and request.export_type.lower() == export_type.lower()
        )
