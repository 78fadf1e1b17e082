"""Triangles of a glTF 2.0 model with the colors of its materials.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.foreign_data import Json, read_base64, read_json_object
from blocks.storage.preview.instances import MOST_INSTANCES
from blocks.storage.preview.points import as_solids
from blocks.storage.preview.shapes import Colors, NoPictureError, NotDrawnError, Points, Shape, Triangles
from blocks.storage.preview.textures import LEFT_OUT, Textures, sampled
from blocks.storage.tileset.tile_content import GLB

Numbers = npt.NDArray[np.float64]
ReadFile = Callable[[str], bytes]
"""Gives the bytes of a URI in the document."""

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_NOT_DECODED = frozenset({"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"})
_POINTS, _TRIANGLES, _STRIP, _FAN = 0, 4, 5, 6
_DEEPEST_NODE = 64
_MOST_NODES = 100_000
"""Nodes that are visited; one that is the child of several is visited as often."""
_MOST_VALUES = 50_000_000
_WHITE = (1.0, 1.0, 1.0, 1.0)
_GREY = np.array([96, 96, 96, 255], np.uint8)
"""Of points without a color: the background is white."""


class GltfModel:
    """A glTF document with its buffers.

    Attributes:
        left_out: What of the model is not drawn.

    Raises:
        NotDrawnError: It is compressed, or no glTF 2.0.
    """

    def __init__(self, content: bytes, read: ReadFile, textures: Textures | None = None) -> None:
        self._document, self._body = _split(content)
        self._read = read
        self._textures = textures or Textures()
        self._images: dict[int, Numbers | None] = {}
        self.left_out = set[str]()
        required: list[str] = self._document.get("extensionsRequired") or []
        if compressed := _NOT_DECODED.intersection(required):
            raise NotDrawnError(f"compressed with {min(compressed)}")

    @property
    def center(self) -> list[float]:
        """The origin of the points (CESIUM_RTC)."""
        extensions: Json = self._document.get("extensions") or {}
        rtc: Json = extensions.get("CESIUM_RTC") or {}
        return list(rtc.get("center") or [0.0, 0.0, 0.0])

    def shapes(self) -> Iterator[Shape]:
        """The triangles of every node of the scene, and its points as small solids; y points up."""
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
            for place in self._instances(node) if "mesh" in node else ():
                for primitive in self._document["meshes"][node["mesh"]]["primitives"]:
                    mode = primitive.get("mode", _TRIANGLES)
                    if mode in {_TRIANGLES, _STRIP, _FAN}:
                        yield self._surface(primitive, matrix @ place)
                    elif mode == _POINTS:
                        yield self._points(primitive, matrix @ place)

    def _instances(self, node: Json) -> Iterator[Points]:
        """Where the mesh of a node is; https://github.com/KhronosGroup/glTF: EXT_mesh_gpu_instancing."""
        extensions: Json = node.get("extensions") or {}
        instancing: Json = extensions.get("EXT_mesh_gpu_instancing") or {}
        names = {"translation": "TRANSLATION", "rotation": "ROTATION", "scale": "SCALE"}
        attributes: Json = instancing.get("attributes") or {}
        given = {key: self._accessor(attributes[name]) for key, name in names.items() if name in attributes}
        if not given:
            yield np.eye(4)
            return
        count = min(map(len, given.values()))
        for index in range(0, count, -(-count // MOST_INSTANCES) or 1):
            yield _matrix_of({key: rows[index].tolist() for key, rows in given.items()})

    def _surface(self, primitive: Json, matrix: Points) -> Shape:
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
        return Shape(points, triangles, displayed(self._textured(primitive, triangles, shades)))

    def _points(self, primitive: Json, matrix: Points) -> Shape:
        attributes: Json = primitive["attributes"]
        points = transformed(self._accessor(attributes["POSITION"]), matrix)
        if "COLOR_0" not in attributes:
            return as_solids(points, np.tile(_GREY, (len(points), 1)))
        return as_solids(points, displayed(_with_opacity(self._accessor(attributes["COLOR_0"]))))

    def _base_color(self, index: int | None) -> Numbers:
        if index is None:
            return np.array(_WHITE)
        material: Json = self._document["materials"][index]
        rough: Json = material.get("pbrMetallicRoughness") or {}
        color = np.array(rough.get("baseColorFactor") or _WHITE, dtype=np.float64)
        if material.get("alphaMode", "OPAQUE") == "OPAQUE":
            color[3] = 1.0
        return color

    def _textured(self, primitive: Json, triangles: Triangles, shades: Numbers) -> Numbers:
        """The shades of triangles under the texture of their material."""
        material: Json = self._document["materials"][primitive["material"]] if "material" in primitive else {}
        rough: Json = material.get("pbrMetallicRoughness") or {}
        texture: Json = rough.get("baseColorTexture") or {}
        places = primitive["attributes"].get(f"TEXCOORD_{texture.get('texCoord', 0)}")
        if "index" not in texture or places is None or not len(triangles):
            return shades
        image = self._image(texture["index"])
        if image is None:
            self.left_out.add(LEFT_OUT)
            return shades
        colors = sampled(image, self._accessor(places)[triangles].mean(axis=1))
        if material.get("alphaMode", "OPAQUE") == "OPAQUE":
            colors[:, 3] = 1.0
        return shades * colors

    def _image(self, texture: int) -> Numbers | None:
        """The image of a texture; None if it is of another format or cannot be read."""
        found: Json = self._document["textures"][texture]
        extensions: Json = found.get("extensions") or {}
        webp: Json = extensions.get("EXT_texture_webp") or {}
        source = webp.get("source", found.get("source"))
        if source is None:
            return None
        if source not in self._images:
            image: Json = self._document["images"][source]
            view = image.get("bufferView")
            content = self._view(view) if view is not None else self._file(str(image["uri"]))
            self._images[source] = self._textures.decode(content)
        return self._images[source]

    def _view(self, index: int) -> bytes:
        view: Json = self._document["bufferViews"][index]
        start = int(view.get("byteOffset", 0))
        return self._buffer(view["buffer"])[start : start + int(view["byteLength"])]

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
        return self._body if uri is None else self._file(uri)

    def _file(self, uri: str) -> bytes:
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
        raise NotDrawnError(f"glTF {version}")
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
