"""Shapes of the coarse levels of a tileset, turned so that up is up and north is north."""

import math
import struct
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from blocks.bounds import LONGEST_TILE
from blocks.errors import ExportError
from blocks.foreign_data import Json, read_json_object
from blocks.storage.preview.gltf import GltfModel, transformed
from blocks.storage.preview.instances import Instances, read_i3dm
from blocks.storage.preview.points import read_pnts
from blocks.storage.preview.shapes import (
    Model,
    NoPictureError,
    NotDrawnError,
    Points,
    Shape,
    ShapeCollection,
    grouped,
)
from blocks.storage.preview.textures import Textures
from blocks.storage.preview.tile_choice import PlacedFile, choose_tiles
from blocks.storage.tileset.bounding_volume import geodetic, is_on_earth
from blocks.storage.tileset.references import resolve
from blocks.storage.tileset.tile_content import BATCHED, HEADER, TileFile

_Z_UP: Points = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
"""https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-gltf-transforms: y up in a glTF is z up in its tile."""
_COMPOSITE = struct.Struct("<4sIII")
_VECTORS = {b"vctr", b"geom"}
_FAULTS = (ArithmeticError, AttributeError, ExportError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What becomes of members of other types, numbers that mean nothing, and references to nothing."""


def read_tileset(folder: Path, deadline: float) -> Model:
    """The coarse levels of a tileset.

    Args:
        folder: Where `tileset.json` lies; the tileset is whole.
        deadline: When to stop, on the monotonic clock.

    Raises:
        NoPictureError: There is nothing to draw, or no tile is of a kind that is drawn.
    """
    with _following_formats("its tileset.json or a tileset below it"):
        choice = choose_tiles(folder)
    tiles, drawn = _Tiles(folder), 0
    for placed in choice.files:
        if tiles.shapes.is_full or time.monotonic() > deadline:
            break
        drawn += 1
        with _following_formats(placed.file.name):
            tiles.add(placed)
    if tiles.kinds and not tiles.shapes.points:
        raise NoPictureError(f"its tiles are not drawn: {', '.join(sorted(tiles.kinds))}")
    has_north = _turn_upright(tiles.shapes)
    tiles.shapes.without_far_ones()
    points, triangles, colors = tiles.shapes.joined(deadline)
    is_coarse = drawn < len(choice.files) or not choice.is_complete
    caption = f"coarse levels: {grouped(drawn)} tiles shown" if is_coarse else ""
    return Model(points, triangles, colors, caption, has_north, tiles.left_out())


@contextmanager
def _following_formats(what: str) -> Generator[None]:
    """Convert every error that an invalid file causes into the error that says why nothing is drawn."""
    try:
        yield
    except (*_FAULTS, struct.error):
        raise NoPictureError(f"{what} does not follow the format of 3D Tiles or glTF") from None


class _Tiles:
    """What has been read of the tiles; `kinds` counts the models in them that are not drawn."""

    def __init__(self, folder: Path) -> None:
        self.shapes = ShapeCollection()
        self.kinds = Counter[str]()
        self._details = set[str]()
        self._folder = folder
        self._textures = Textures()

    def add(self, placed: PlacedFile) -> None:
        """Add the models of a file."""
        self._add_content(placed.file.read_whole(LONGEST_TILE), placed)

    def left_out(self) -> str:
        """What is not drawn of them."""
        kinds = (f"{count} tile{'s' * (count > 1)} ({kind})" for kind, count in sorted(self.kinds.items()))
        return ", ".join([*kinds, *sorted(self._details)])

    def _add_content(self, content: bytes, placed: PlacedFile) -> None:
        try:
            match content[:4]:
                case b"cmpt":
                    for part in _parts(content):
                        self._add_content(part, placed)
                case b"pnts":
                    self._add_shape(read_pnts(content), placed.matrix)
                case b"i3dm":
                    self._add_instances(read_i3dm(content), placed)
                case b"b3dm":
                    model, center = _batched(content)
                    self._add_model(model, [placed.matrix @ _moved(np.array(center))], placed)
                case _ if content[:4] == b"glTF" or b'"asset"' in content:
                    self._add_model(content, [placed.matrix], placed)
                case other:
                    self.kinds[other.decode() if other in _VECTORS else "other"] += 1
        except NotDrawnError as error:
            self.kinds[str(error)] += 1

    def _add_instances(self, found: Instances, placed: PlacedFile) -> None:
        model = self._read(placed, found.uri) if found.uri else found.model
        self._add_model(model, [placed.matrix @ one for one in found.matrices], placed)

    def _add_model(self, content: bytes, matrices: Sequence[Points], placed: PlacedFile) -> None:
        model = GltfModel(content, partial(self._read, placed), self._textures)
        in_tile = _moved(np.array(model.center)) @ _Z_UP
        for shape in model.shapes():
            for matrix in matrices:
                if self.shapes.is_full:
                    return
                self._add_shape(shape, matrix @ in_tile)
        self._details |= model.left_out

    def _add_shape(self, shape: Shape, matrix: Points) -> None:
        self.shapes.add(transformed(shape.points, matrix), shape.triangles, shape.colors)

    def _read(self, placed: PlacedFile, uri: str) -> bytes:
        name = resolve(placed.file.name, uri) or ""
        return TileFile(name, self._folder / name).read_whole(LONGEST_TILE)


def _parts(content: bytes) -> Iterator[bytes]:
    """The tiles in a composite tile."""
    start = _COMPOSITE.size
    for _ in range(_COMPOSITE.unpack_from(content)[3]):
        size = HEADER.unpack_from(content, start)[2]
        if size < HEADER.size:
            raise NoPictureError("a composite tile has a part that ends before it begins")
        yield content[start : start + size]
        start += size


def _batched(content: bytes) -> tuple[bytes, list[float]]:
    """The glTF of a `b3dm`, and its origin; https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-batched3dmodel-batched-3d-model."""
    for size, counts in BATCHED:
        numbers = struct.unpack_from(f"<4s{size // 4 - 1}I", content.ljust(size, b"\0"))
        start = size + sum(numbers[index] for index in counts)
        if content[start : start + 4] == b"glTF":
            table = content[size : size + numbers[3]].rstrip(b" \0") if len(counts) == 4 else b""
            features: Json = read_json_object(table) if table else {}
            return content[start:], list(features.get("RTC_CENTER") or [0.0, 0.0, 0.0])
    raise NoPictureError("a tile holds no glTF model")


def _moved(by: Points) -> Points:
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix


def _turn_upright(collection: ShapeCollection) -> bool:
    """Turn Earth-centred coordinates so that x is east, y north and z up; False where they are local."""
    if not collection.points:
        return False
    x, y, z = np.median([points.mean(axis=0) for points in collection.points], axis=0)
    if not is_on_earth((x, y, z)):
        return False
    longitude, latitude, _ = map(math.radians, geodetic((x, y, z)))
    east = (-math.sin(longitude), math.cos(longitude), 0.0)
    up = (math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude))
    axes = np.array([east, np.cross(up, east), up])
    collection.points[:] = [(points - (x, y, z)) @ axes.T for points in collection.points]
    return True
