"""Shapes of the coarse levels of a tileset, turned so that up is up and north is north."""

import math
import struct
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from blocks.bounds import LONGEST_TILE
from blocks.errors import ExportError
from blocks.foreign_data import Json, read_json_object
from blocks.storage.preview.gltf import GltfModel, transformed
from blocks.storage.preview.shapes import Model, NoPictureError, Points, ShapeCollection, grouped
from blocks.storage.preview.tile_choice import PlacedFile, choose_tiles
from blocks.storage.tileset.bounding_volume import geodetic, is_on_earth
from blocks.storage.tileset.references import resolve
from blocks.storage.tileset.tile_content import BATCHED, HEADER, TileFile

_Z_UP: Points = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
"""https://docs.ogc.org/cs/22-025r4/22-025r4.html#core-gltf-transforms: y up in a glTF is z up in its tile."""
_COMPOSITE = struct.Struct("<4sIII")
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
    collection, others, drawn = ShapeCollection(), set[str](), 0
    for placed in choice.files:
        if collection.is_full or time.monotonic() > deadline:
            break
        drawn += 1
        with _following_formats(placed.file.name):
            others.update(_collect(folder, placed, collection))
    if others and not collection.points:
        raise NoPictureError(f"its tiles are {', '.join(sorted(others))}, which is not drawn")
    has_north = _turn_upright(collection)
    collection.without_far_ones()
    points, triangles, colors = collection.joined(deadline)
    is_coarse = drawn < len(choice.files) or not choice.is_complete
    return Model(
        points, triangles, colors, f"coarse levels: {grouped(drawn)} tiles shown" if is_coarse else "", has_north
    )


@contextmanager
def _following_formats(what: str) -> Generator[None]:
    """Convert every error that an invalid file causes into the error that says why nothing is drawn."""
    try:
        yield
    except (*_FAULTS, struct.error):
        raise NoPictureError(f"{what} does not follow the format of 3D Tiles or glTF") from None


def _collect(folder: Path, placed: PlacedFile, collection: ShapeCollection) -> set[str]:
    """Add the models of a file; returns the formats of those that are not drawn."""

    def read(uri: str) -> bytes:
        name = resolve(placed.file.name, uri) or ""
        return TileFile(name, folder / name).read_whole(LONGEST_TILE)

    others = set[str]()
    for kind, content, center in _models_in(placed.file.read_whole(LONGEST_TILE)):
        if kind != "glTF":
            others.add(kind)
            continue
        model = GltfModel(content, read)
        matrix = placed.matrix @ _moved(np.array(center) + model.center) @ _Z_UP
        for primitive in model.primitives():
            if collection.is_full:
                break
            collection.add(transformed(primitive.points, matrix), primitive.triangles, primitive.colors)
    return others


def _models_in(content: bytes) -> Iterator[tuple[str, bytes, list[float]]]:
    """Format, bytes and origin of each model in a tile."""
    match content[:4]:
        case b"b3dm":
            yield _batched(content)
        case b"cmpt":
            start = _COMPOSITE.size
            for _ in range(_COMPOSITE.unpack_from(content)[3]):
                size = HEADER.unpack_from(content, start)[2]
                if size < HEADER.size:
                    raise NoPictureError("a composite tile has a part that ends before it begins")
                yield from _models_in(content[start : start + size])
                start += size
        case b"i3dm" | b"pnts" | b"vctr" | b"geom" as other:
            yield other.decode(), content, []
        case _:
            is_model = content[:4] == b"glTF" or b'"asset"' in content
            yield "glTF" if is_model else "other", content, [0.0, 0.0, 0.0]


def _batched(content: bytes) -> tuple[str, bytes, list[float]]:
    """The glTF of a `b3dm`; https://docs.ogc.org/cs/22-025r4/22-025r4.html#tileformats-batched3dmodel-batched-3d-model."""
    for size, counts in BATCHED:
        numbers = struct.unpack_from(f"<4s{size // 4 - 1}I", content.ljust(size, b"\0"))
        start = size + sum(numbers[index] for index in counts)
        if content[start : start + 4] == b"glTF":
            table = content[size : size + numbers[3]].rstrip(b" \0") if len(counts) == 4 else b""
            features: Json = read_json_object(table) if table else {}
            return "glTF", content[start:], list(features.get("RTC_CENTER") or [0.0, 0.0, 0.0])
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
