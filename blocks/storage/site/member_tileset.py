"""A published tileset of an iModel, as part of the common tileset of its iTwin."""

from dataclasses import dataclass

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_json_object
from blocks.storage.content.models import EarthExtent
from blocks.storage.manifest import Manifest
from blocks.storage.site.placements import Placement
from blocks.storage.site.volumes import Matrix, Volume, moved, volume_in_parent
from blocks.storage.tileset.bounding_volume import locate
from blocks.storage.tileset.references import ROOT

FOLDER = "mesh"
"""Name of the folder of published tiles, in the folder of an iModel."""
DEFAULT_UP_AXIS = "Y"


class LeftOutError(ContentError):
    """A tileset cannot be part of a common one; the message says why and what to do."""


@dataclass(frozen=True)
class PublishedTileset:
    """What was read of a published tileset; `state` differs for another tileset in the same place."""

    manifest: Manifest
    document: Json
    state: object


@dataclass(frozen=True)
class MemberTileset:
    """The tileset of one iModel in a common tileset, with its place on the Earth.

    Attributes:
        address: Of its `tileset.json`, relative to the output folder.
        volume: Bounding volume in its own coordinates.
        placement: From those to Earth-centred coordinates; None if they are the same.
        error: Its geometric error, in metres.
        up_axis: Axis that is up in its glTF models; all tilesets below a common one must have the same.
    """

    imodel_id: str
    name: str
    address: str
    tileset: PublishedTileset
    volume: Volume
    placement: Matrix | None
    extent: EarthExtent | None
    error: float
    up_axis: str

    @property
    def earth_volume(self) -> Volume:
        """Bounding volume in Earth-centred coordinates."""
        return moved(self.volume, self.placement) if self.placement else self.volume


def require_published(manifest: Manifest | None, imodel_id: str, *, is_rejected: bool) -> Manifest:
    """The manifest of a tileset that readers may get.

    Args:
        manifest: The published one; None if there is none.
        imodel_id: For messages.
        is_rejected: Whether there are tiles that acceptance rules put aside.

    Raises:
        LeftOutError: There is none, or the rules rejected it.
    """
    again = export_again(imodel_id)
    if manifest is None:
        rejected = "The acceptance rules rejected its tiles" if is_rejected else "It has no published tiles"
        raise LeftOutError(f"{rejected}. {again}")
    if manifest.verdict == "rejected":
        raise LeftOutError(f"The acceptance rules rejected its tiles. Correct the iModel or the rules. {again}")
    return manifest


def parsed_tileset(content: bytes, imodel_id: str) -> Json:
    """The content of a `tileset.json`.

    Raises:
        LeftOutError: It cannot be read.
    """
    try:
        return read_json_object(content, LONGEST_TILESET_JSON)
    except ForeignDataError as error:
        raise LeftOutError(f"Its {ROOT} cannot be read: {error}. {export_again(imodel_id)}") from None


def export_again(imodel_id: str) -> str:
    """What to do about tiles that are missing or damaged."""
    return f"Export it: itwin-export mesh {imodel_id}"


def place_tileset(imodel_id: str, name: str, tileset: PublishedTileset, placement: Placement | None) -> MemberTileset:
    """The tileset with its place: its own, else that of a table.

    Raises:
        LeftOutError: It says nowhere on the Earth where it stands, and there is no placement.
    """
    root = tileset.document.get("root")
    tile: Json = root if isinstance(root, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    volume = volume_in_parent(tile)
    if volume is None:
        raise LeftOutError(
            "The root of its tileset has no bounding volume that can be used. Export it with start=always."
        )
    extent, _ = locate(tile)
    if extent is None and placement is None:
        raise LeftOutError("Its tiles are not placed on the Earth. Place it with a table: --placements FILE")
    matrix = placement.transform if extent is None and placement else None
    if matrix:
        extent, _ = locate({"boundingVolume": volume, "transform": matrix})
    return MemberTileset(
        imodel_id=imodel_id,
        name=name,
        address=f"{imodel_id}/{FOLDER}/{ROOT}",
        tileset=tileset,
        volume=volume,
        placement=matrix,
        extent=extent,
        error=_error_of(tileset.document, tile),
        up_axis=_up_axis(tileset.document),
    )


def _error_of(document: Json, root: Json) -> float:
    """The greater of the errors that the tileset and its root state; the common tileset must not have less."""
    stated = [document.get("geometricError"), root.get("geometricError")]
    return max((float(one) for one in stated if isinstance(one, (int, float))), default=0.0)


def _up_axis(document: Json) -> str:
    """Of the models in tilesets before 3D Tiles 1.1, as CesiumJS reads it: from the outermost tileset only."""
    asset = document.get("asset")
    axis: object = asset.get("gltfUpAxis") if isinstance(asset, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return axis if isinstance(axis, str) else DEFAULT_UP_AXIS
