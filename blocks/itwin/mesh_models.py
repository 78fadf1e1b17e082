"""What the Mesh Export API answers, as typed values.

Vendor page: https://developer.bentley.com/apis/mesh-export/operations/.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from blocks.itwin.models import Link, PlatformModel, Timestamp, member_by_name


class MeshStatus(StrEnum):
    """Where a mesh export stands."""

    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    COMPLETE = "Complete"
    INVALID = "Invalid"

    @property
    def is_terminal(self) -> bool:
        """True once nothing more will happen."""
        return self in {MeshStatus.COMPLETE, MeshStatus.INVALID}


def _known_status(value: object) -> object:
    return member_by_name(MeshStatus, value, MeshStatus.NOT_STARTED)


class MeshRequest(PlatformModel):
    """What the tiles were made of; an empty changeset is the baseline."""

    imodel_id: str = Field(default="", alias="iModelId")
    changeset_id: str | None = None
    export_type: str = ""


class MeshLinks(PlatformModel):
    """Links of a mesh export; whoever holds `mesh` can read the tiles, so it is never shown."""

    mesh: Link | None = Field(default=None, repr=False)


class MeshExport(PlatformModel):
    """A tileset of one changeset, made or being made; lists show request and links in their long form only."""

    id: str
    display_name: str = ""
    status: Annotated[MeshStatus | str, BeforeValidator(_known_status)] = MeshStatus.NOT_STARTED
    last_modified: Timestamp = None
    request: MeshRequest | None = None
    error: str | None = None
    links: MeshLinks | None = Field(default=None, alias="_links")

    @property
    def is_complete(self) -> bool:
        """True when the tiles are there to be fetched."""
        return self.status is MeshStatus.COMPLETE

    @property
    def is_invalid(self) -> bool:
        """True when the platform gave up on the tiles."""
        return self.status is MeshStatus.INVALID

    @property
    def mesh_url(self) -> str:
        """The pre-signed link of the container, empty while there is none."""
        return self.links.mesh.href if self.links and self.links.mesh else ""

    def is_of(self, changeset_id: str, export_type: str) -> bool:
        """Whether these are tiles of that changeset and type; types are written in different cases."""
        request = self.request
        return (
            request is not None
            and (request.changeset_id or "").lower() == changeset_id.lower()
            and request.export_type.lower() == export_type.lower()
        )
