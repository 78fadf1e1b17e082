"""A published tileset of an iModel, as part of the common tileset of its iTwin."""

from dataclasses import dataclass
from pathlib import Path

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.disk import disk_errors
from blocks.errors import ContentError, ForeignDataError
from blocks.foreign_data import Json, read_json_object
from blocks.shared_folder import read_bounded
from blocks.storage.content.models import EarthExtent
from blocks.storage.manifest import Manifest, read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.rejected import read_rejected
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
    """What was read of a published tileset; `state` changes when the tileset is published anew."""

    manifest: Manifest
    document: Json
    state: tuple[int, int]


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


def read_published_tileset(folder: Path, imodel_id: str) -> PublishedTileset:
    """Read what readers of a published tileset find, and check that its files are there.

    Args:
        folder: Folder of the tileset.
        imodel_id: For messages.

    Raises:
        LeftOutError: There is none, or it is not what was exported.
    """
    again = f"Export it: itwin-export mesh {imodel_id}"
    manifest = read_manifest(folder)
    if manifest is None:
        rejected = "The acceptance rules rejected its tiles" if read_rejected(folder) else "It has no published tiles"
        raise LeftOutError(f"{rejected}. {again}")
    if manifest.verdict == "rejected":
        raise LeftOutError(f"The acceptance rules rejected its tiles. Correct the iModel or the rules. {again}")
    try:
        state = state_of(folder)
        verify_published(folder, manifest)
        document = read_json_object(read_bounded(folder / ROOT, LONGEST_TILESET_JSON), LONGEST_TILESET_JSON)
    except OSError:
        raise LeftOutError(f"Its tiles have no {ROOT} that can be read. {again}") from None
    except ForeignDataError as error:
        raise LeftOutError(f"Its {ROOT} cannot be read: {error}. {again}") from None
    except ContentError as error:
        raise LeftOutError(str(error)) from None
    return PublishedTileset(manifest, document, state)


def state_of(folder: Path) -> tuple[int, int]:
    """What differs for another tileset in the same place.

    Raises:
        OSError: There is none.
    """
    state = (folder / ROOT).stat()
    return state.st_ino, state.st_mtime_ns


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


def read_member(output_dir: Path, imodel_id: str, name: str, placement: Placement | None) -> MemberTileset:
    """Read the tileset of an iModel and place it.

    Raises:
        LeftOutError: It cannot be part of the common tileset.
        DiskError: The folder cannot be read.
    """
    folder = output_dir / imodel_id / FOLDER
    with disk_errors(folder):
        return place_tileset(imodel_id, name, read_published_tileset(folder, imodel_id), placement)


def _error_of(document: Json, root: Json) -> float:
    """The greater of the errors that the tileset and its root state; the common tileset must not have less."""
    stated = [document.get("geometricError"), root.get("geometricError")]
    return max((float(one) for one in stated if isinstance(one, (int, float))), default=0.0)


def _up_axis(document: Json) -> str:
    """Of the models in tilesets before 3D Tiles 1.1, as CesiumJS reads it: from the outermost tileset only."""
    asset = document.get("asset")
    axis: object = asset.get("gltfUpAxis") if isinstance(asset, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return axis if isinstance(axis, str) else DEFAULT_UP_AXIS
