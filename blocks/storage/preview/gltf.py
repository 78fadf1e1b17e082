"""Triangles of a glTF 2.0 model with the colors of its materials.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. Textures count by their average color.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.foreign_data import Json, read_base64, read_json_object
from blocks.storage.preview.shapes import Colors, NoPictureError, Points, Triangles
from blocks.storage.tileset.tile_content import GLB

Numbers = npt.NDArray[np.float64]
ReadFile = Callable[[str], bytes]
"""Gives the bytes of a URI in the document."""

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_NOT_DECODED = frozenset({"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"})
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_DEEPEST_NODE = 64
_MOST_NODES = 100_000
"""Nodes that are visited; one that is the child of several is visited as often."""
_MOST_VALUES = 50_000_000
_WHITE = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Primitive:
    """Triangles of one material, as y points up."""

    points: Points
    triangles: Triangles
    colors: Colors


class GltfModel:
    """A glTF document with its buffers."""

    def __init__(self, content: bytes, read: ReadFile) -> None:
        self._document, self._body = _split(content)
        self._read = read
        required: list[str] = self._document.get("extensionsRequired") or []
        if compressed := _NOT_DECODED.intersection(required):
            raise NoPictureError(f"its tiles need the extension {min(compressed)}, which is not decoded here")

    @property
    def center(self) -> list[float]:
        """The origin of the points (CESIUM_RTC)."""
        extensions: Json = self._document.get("extensions") or {}
        rtc: Json = extensions.get("CESIUM_RTC") or {}
        return list(rtc.get("center") or [0.0, 0.0, 0.0])

    def primitives(self) -> Iterator[Primitive]:
        """The triangles of every node of the scene."""
        scenes: list[Json] = self._document.get("scenes") or []
        nodes: list[int] = (
            scenes[self._document.get("scene") or 0].get("nodes") or []
            if scenes
            else list(range(len(self._document.get("nodes") or [])))
        )
        waiting = [(index, np.eye(4), 0) for index in nodes]
        visited = 0
        while waiting:
            visited += 1
            if visited > _MOST_NODES:
                raise NoPictureError("a tile has too many nodes")
            index, above, depth = waiting.pop()
            node: Json = self._document["nodes"][index]
            matrix = above @ _matrix_of(node)
            if depth < _DEEPEST_NODE:
                waiting.extend((child, matrix, depth + 1) for child in node.get("children") or ())
            if "mesh" in node:
                for primitive in self._document["meshes"][node["mesh"]]["primitives"]:
                    if primitive.get("mode", _TRIANGLES) in {_TRIANGLES, _STRIP, _FAN}:
                        yield self._primitive(primitive, matrix)

    def _primitive(self, primitive: Json, matrix: Points) -> Primitive:
        attributes: Json = primitive["attributes"]
        points = transformed(self._accessor(attributes["POSITION"]), matrix)
        given = primitive.get("indices")
        indices = np.arange(len(points)) if given is None else self._accessor(given)[:, 0].astype(np.int64)
        triangles = _triangles(indices, primitive.get("mode", _TRIANGLES))
        triangles = triangles[((triangles >= 0) & (triangles < len(points))).all(axis=1)]
        shades = np.broadcast_to(self._base_color(primitive.get("material")), (len(triangles), 4))
        if "COLOR_0" in attributes and len(triangles):
            of_points = self._accessor(attributes["COLOR_0"])
            shades = shades * _with_opacity(of_points)[triangles].mean(axis=1)
        return Primitive(points, triangles, displayed(shades))

    def _base_color(self, index: int | None) -> Numbers:
        if index is None:
            return np.array(_WHITE)
        material: Json = self._document["materials"][index]
        rough: Json = material.get("pbrMetallicRoughness") or {}
        color = np.array(rough.get("baseColorFactor") or _WHITE, dtype=np.float64)
        if material.get("alphaMode", "OPAQUE") == "OPAQUE":
            color[3] = 1.0
        return color

    def _accessor(self, index: int) -> Numbers:
        """The rows of an accessor as floats; normalized integers from 0 (or -1) to 1."""
        accessor: Json = self._document["accessors"][index]
        width, count = _WIDTHS[accessor["type"]], int(accessor["count"])
        kind = np.dtype("<" + _COMPONENTS[accessor["componentType"]])
        if not 0 <= count * width <= _MOST_VALUES:
            raise NoPictureError("a tile has too many points")
        if "bufferView" not in accessor:
            return np.zeros((count, width))
        view: Json = self._document["bufferViews"][accessor["bufferView"]]
        data = self._buffer(view["buffer"])
        start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
        stride = int(view.get("byteStride") or width * kind.itemsize)
        rows = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))  # refuses what is outside
        values = rows.astype(np.float64)
        if accessor.get("normalized") and kind.kind in "iu":
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        return values

    def _buffer(self, index: int) -> bytes:
        uri: str | None = self._document["buffers"][index].get("uri")
        if uri is None:
            return self._body
        if uri.startswith("data:"):
            return read_base64(uri.partition(",")[2]) or b""
        return self._read(uri)


def transformed(points: Points, matrix: Points) -> Points:
    """The points under a matrix of four rows."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def displayed(linear: Numbers) -> Colors:
    """Linear colors as bytes of sRGB, which screens show; opacity is linear in both."""
    bounded = np.clip(np.nan_to_num(linear, nan=1.0), 0.0, 1.0)
    curved = np.where(bounded <= 0.0031308, 12.92 * bounded, 1.055 * bounded ** (1 / 2.4) - 0.055)
    curved[:, 3] = bounded[:, 3]
    return np.round(255 * curved).astype(np.uint8)


def _split(content: bytes) -> tuple[Json, bytes]:
    """The document and the binary chunk."""
    if content[:4] != b"glTF":
        return read_json_object(content, LONGEST_TILESET_JSON), b""
    _, version, _, size, _ = GLB.unpack_from(content + bytes(GLB.size))
    if version != 2:
        raise NoPictureError(f"its tiles are glTF {version}, of which only 2 is drawn")
    document = read_json_object(content[GLB.size : GLB.size + size], LONGEST_TILESET_JSON)
    return document, content[GLB.size + size + 8 :]


def _matrix_of(node: Json) -> Points:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = node.get("rotation") or (0.0, 0.0, 0.0, 1.0)
    length = math.hypot(x, y, z, w) or 1.0
    x, y, z, w = x / length, y / length, z / length, w / length
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.array(node.get("scale") or (1.0, 1.0, 1.0))
    matrix[:3, 3] = node.get("translation") or (0.0, 0.0, 0.0)
    return matrix


def _triangles(indices: npt.NDArray[np.int64], mode: int) -> Triangles:
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    first = np.broadcast_to(indices[:1], len(indices[2:])) if mode == _FAN else indices[:-2]
    return np.column_stack([first, indices[1:-1], indices[2:]])


def _with_opacity(colors: Numbers) -> Numbers:
    return colors if colors.shape[1] == 4 else np.column_stack([colors, np.ones(len(colors))])
