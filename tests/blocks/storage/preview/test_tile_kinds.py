"""Kinds of tiles that are drawn: point clouds, instances and textures; and what is said of the others."""

import base64
import io
import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blocks.storage.preview.gltf import GltfModel
from blocks.storage.preview.instances import read_i3dm
from blocks.storage.preview.points import MOST_POINTS, as_solids, read_pnts
from blocks.storage.preview.shapes import NoPictureError, NotDrawnError
from blocks.storage.preview.tileset_shapes import read_tileset
from tests.blocks.storage.preview.models import Json, cube_glb, tileset

EMBEDDED, BY_URI = 1, 0
DRACO = cube_glb(extensionsRequired=["KHR_draco_mesh_compression"])


def table_tile(magic: bytes, features: Json, binary: bytes, *, end: bytes = b"", kind: tuple[int, ...] = ()) -> bytes:
    """The bytes of a tile with a feature table; `kind` are the header's numbers after the lengths of the tables."""
    table = json.dumps(features).encode()
    sizes = (len(table), len(binary), 0, 0, *kind)
    size = 12 + 4 * len(sizes) + len(table) + len(binary) + len(end)
    return struct.pack(f"<4s{2 + len(sizes)}I", magic, 1, size, *sizes) + table + binary + end


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def i3dm(features: Json, binary: bytes, model: bytes, embedded: int = EMBEDDED) -> bytes:
    return table_tile(b"i3dm", features, binary, end=model, kind=(embedded,))


def read(folder: Path, *tiles: bytes) -> Any:
    children = [{"geometricError": 0, "content": {"uri": f"{number}.glb"}} for number in range(len(tiles))]
    files = {f"{number}_glb": tile for number, tile in enumerate(tiles)}
    root = {"geometricError": 1, "refine": "ADD", "children": children}
    return read_tileset(tileset(folder / "mesh", root, **files), time.monotonic() + 60)


def test_points_are_drawn_in_their_colors(tmp_path: Path) -> None:
    """Each point of a `pnts` becomes a small solid in its place, with its color."""
    features = {"POINTS_LENGTH": 2, "POSITION": {"byteOffset": 0}, "RGB": {"byteOffset": 24}}
    content = table_tile(b"pnts", features, floats(0, 0, 0, 10, 0, 5) + bytes([255, 0, 0, 0, 0, 255]))
    model = read(tmp_path, content)
    assert model.left_out == ""
    assert {tuple(color) for color in model.colors.tolist()} == {(255, 0, 0, 255), (0, 0, 255, 255)}
    centers = read_pnts(content).points.reshape(2, 4, 3).mean(axis=1)
    assert np.allclose(centers, [[0, 0, 0], [10, 0, 5]], atol=1e-4)


def test_quantized_points_have_their_volume() -> None:
    """Positions in 16 bits go from the volume's offset to its end; the origin of the tile is added."""
    features = {
        "POINTS_LENGTH": 2,
        "POSITION_QUANTIZED": {"byteOffset": 0},
        "QUANTIZED_VOLUME_OFFSET": [1, 2, 3],
        "QUANTIZED_VOLUME_SCALE": [10, 20, 30],
        "RTC_CENTER": [100, 0, 0],
    }
    shape = read_pnts(table_tile(b"pnts", features, np.array([0, 0, 0, 65535, 65535, 65535], "<u2").tobytes()))
    assert np.allclose(shape.points.reshape(2, 4, 3).mean(axis=1), [[101, 2, 3], [111, 22, 33]])


def test_a_large_cloud_is_thinned() -> None:
    """A tile of a million points is drawn with ten thousand of them: each hundredth."""
    shape = as_solids(np.random.default_rng(1).random((1_000_000, 3)), np.zeros((1_000_000, 4), np.uint8))
    assert len(shape.triangles) == 4 * MOST_POINTS


def test_points_beyond_the_table_are_refused(tmp_path: Path) -> None:
    """A count that the bytes of the tile do not bear out is a fault of its format."""
    content = table_tile(b"pnts", {"POINTS_LENGTH": 10**6, "POSITION": {"byteOffset": 0}}, floats(0, 0, 0))
    with pytest.raises(NoPictureError, match=r"0\.glb does not follow the format"):
        read(tmp_path, content)


def test_instances_are_placed_turned_and_scaled() -> None:
    """The matrix of an instance has its axes as columns, times its scale, and its position."""
    features = {
        "INSTANCES_LENGTH": 1,
        "POSITION": {"byteOffset": 0},
        "NORMAL_UP": {"byteOffset": 12},
        "NORMAL_RIGHT": {"byteOffset": 24},
        "SCALE": {"byteOffset": 36},
    }
    found = read_i3dm(i3dm(features, floats(7, 8, 9, -1, 0, 0, 0, 1, 0, 2), b"model"))
    (matrix,) = found.matrices
    assert (found.model, found.uri) == (b"model", "")
    assert (matrix @ [1, 0, 0, 1]).tolist() == [7, 10, 9, 1]
    assert (matrix @ [0, 1, 0, 1]).tolist() == [5, 8, 9, 1]


@pytest.mark.parametrize("packed", [(65535, 32768, 32768, 65535), (65535, 32767, 32767, 65535)])
def test_packed_directions_are_those_they_stand_for(packed: tuple[int, ...]) -> None:
    """Right is x and up is y, also where they are packed into 16 bits a number."""
    names = ("NORMAL_RIGHT_OCT32P", "NORMAL_UP_OCT32P")
    features = {"INSTANCES_LENGTH": 1, "POSITION": {"byteOffset": 0}}
    features |= {name: {"byteOffset": 12 + 4 * number} for number, name in enumerate(names)}
    (matrix,) = read_i3dm(i3dm(features, floats(0, 0, 0) + np.array(packed, "<u2").tobytes(), b"")).matrices
    assert np.allclose(matrix, np.eye(4), atol=1e-4)


def test_instances_may_share_a_file(tmp_path: Path) -> None:
    """The model of instances is embedded, or a file beside the tile."""
    features = {"INSTANCES_LENGTH": 3, "POSITION": {"byteOffset": 0}}
    positions = floats(0, 0, 0, 5, 0, 0, 10, 0, 0)
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "cube.glb").write_bytes(cube_glb())
    for content in (i3dm(features, positions, cube_glb()), i3dm(features, positions, b"cube.glb ", BY_URI)):
        model = read(tmp_path, content)
        assert (len(model.triangles), np.ptp(model.points, axis=0).tolist()) == (36, [11, 1, 1])


def test_instances_of_a_node_are_drawn() -> None:
    """EXT_mesh_gpu_instancing places the mesh of a node several times."""
    nodes = [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0}}}}]
    shapes = list(GltfModel(cube_glb(nodes=nodes), lambda _: b"").shapes())
    assert {tuple(shape.points.min(axis=0)) for shape in shapes} == {
        (x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)
    }


def test_points_of_a_model_are_drawn() -> None:
    """Points of a glTF, as tiles of 1.1 have them, become small solids."""
    (shape,) = GltfModel(
        cube_glb(meshes=[{"primitives": [{"mode": 0, "attributes": {"POSITION": 0}}]}]), lambda _: b""
    ).shapes()
    assert (len(shape.points), len(shape.triangles)) == (32, 32)


def textured(content: bytes, **texture: Any) -> Json:
    """Members of a cube whose corners all lie in the right half of an image."""
    half = np.tile([0.75, 0.5], (8, 1)).astype("<f4").tobytes()
    uri = "data:application/octet-stream;base64,"
    glb = json.loads(json.dumps(CUBE))
    glb["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = 2
    glb["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    glb["accessors"].append({"bufferView": 2, "componentType": 5126, "count": 8, "type": "VEC2"})
    glb["bufferViews"].append({"buffer": 1, "byteLength": len(half)})
    glb["buffers"].append({"uri": uri + _base64(half), "byteLength": len(half)})
    return glb | {"textures": [texture or {"source": 0}], "images": [{"uri": uri + _base64(content)}]}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _document(glb: bytes) -> Json:
    return json.loads(glb[20 : 20 + struct.unpack_from("<I", glb, 12)[0]])


CUBE = _document(cube_glb())


def two_halves() -> bytes:
    """A PNG that is red on the left and green on the right."""
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    image.paste((0, 128, 0), (4, 0, 8, 8))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_a_triangle_has_the_color_of_its_texture() -> None:
    """It is taken in the middle of the triangle, and shown as it is in the image."""
    model = GltfModel(cube_glb(**textured(two_halves())), lambda _: b"")
    (shape,) = model.shapes()
    assert {tuple(color) for color in shape.colors.tolist()} == {(0, 128, 0, 255)}
    assert model.left_out == set()


@pytest.mark.parametrize("texture", [{}, {"extensions": {"KHR_texture_basisu": {"source": 0}}}], ids=["broken", "KTX2"])
def test_a_texture_that_cannot_be_read_is_told(texture: Json, tmp_path: Path) -> None:
    """The model is drawn in the color of its material, and the picture says what it lacks."""
    model = read(tmp_path, cube_glb(**textured(b"no image", **texture)))
    assert (len(model.triangles), model.left_out) == (12, "some textures")


def test_tiles_that_are_not_drawn_are_counted(tmp_path: Path) -> None:
    """Where some tiles are compressed, the others are drawn, and how many are left out is said."""
    model = read(tmp_path, cube_glb(), DRACO, DRACO, b"vctr" + bytes(40))
    assert len(model.triangles) == 12
    assert model.left_out == "2 tiles (compressed with KHR_draco_mesh_compression), 1 tile (vctr)"


def test_a_compressed_cloud_is_named() -> None:
    """Points compressed with Draco are of a kind that is not drawn."""
    features: Json = {"POINTS_LENGTH": 1, "extensions": {"3DTILES_draco_point_compression": {}}}
    with pytest.raises(NotDrawnError, match="3DTILES_draco_point_compression"):
        read_pnts(table_tile(b"pnts", features, b""))
