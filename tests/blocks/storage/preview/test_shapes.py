"""What is read for a picture."""

import struct
import time
from pathlib import Path
from typing import Any

import ifcopenshell
import numpy as np
import pytest

from blocks.storage.preview import ifc_shapes, tile_choice
from blocks.storage.preview.gltf import GltfModel, displayed
from blocks.storage.preview.ifc_north import rotation_to_north
from blocks.storage.preview.ifc_shapes import read_ifc
from blocks.storage.preview.shapes import NoPictureError, ShapeCollection
from blocks.storage.preview.tile_choice import choose_tiles
from blocks.storage.preview.tileset_shapes import read_tileset
from blocks.storage.preview.view import fit
from tests.blocks.storage.preview.models import boxes, cube_glb, ifc, sandbox_tiles, tileset


def soon() -> float:
    return time.monotonic() + 60


def nothing(_uri: str) -> bytes:
    return b""


def test_the_largest_elements_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more elements than are drawn the largest ones are, and the caption says so."""
    monkeypatch.setattr(ifc_shapes, "MOST_ELEMENTS", 3)
    path = boxes(tmp_path / "a.ifc", [1.0, 1.5, 0.1, 0.2, 1.2, 0.3], apart=0.0)
    model = read_ifc([path], soon())
    assert model.caption == "largest 3 of 6 elements shown"
    heights = [np.ptp(model.points[8 * at : 8 * at + 8, 2]) for at in range(3)]
    assert sorted(heights) == pytest.approx([1.0, 1.2, 1.5])  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("x", [1.2e308, -1e13, float("inf"), float("nan")])
def test_what_is_no_place_is_left_out(x: float) -> None:
    """A shape with a coordinate that is no number, or so large that sums of it are none, is not drawn."""
    collection = ShapeCollection()
    triangle = np.array([[0, 1, 2]]), np.zeros((1, 4), np.uint8)
    collection.add(np.eye(3), *triangle)
    collection.add(np.array([[x, 0.0, 0.0]] * 3), *triangle)
    points, _, _ = collection.joined(soon())
    assert np.ptp(points[:, 0]) == 1.0
    assert len(points) == 3


def test_what_is_far_away_is_left_out(tmp_path: Path) -> None:
    """An element hundreds of kilometres from all others does not make a dot of them."""
    path = boxes(tmp_path / "a.ifc", [1.0] * 12)
    path.write_text(path.read_text().replace("((22.000,0.000,0.))", "((500000.,0.,0.))"))
    model = read_ifc([path], soon())
    assert model.caption == "1 far from all others left out"
    assert np.ptp(model.points[:, 0]) == pytest.approx(21.0)  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize(
    ("north", "body", "expected"),
    [
        ("$", "", None),
        ("#8", "#8=IFCDIRECTION((1.,0.));\n", (0.0, 1.0)),
        (
            "$",
            "#8=IFCMAPCONVERSION(#3,#9,0.,0.,0.,0.,1.,$);\n#9=IFCPROJECTEDCRS('EPSG:25832',$,$,$,$,$,$);\n",
            (0.0, 1.0),
        ),
        ("$", "#8=IFCSITE('2YvctVUKr0kugbFTf53O9L',$,$,$,$,#7,$,$,$,(48,8,0),(11,34,0),$,$,$);\n", (1.0, 0.0)),
    ],
    ids=["unknown", "true north", "map conversion", "site"],
)
def test_north_is_up(north: str, body: str, expected: tuple[float, float] | None, tmp_path: Path) -> None:
    """The x axis of the file is turned to where it points on the map: north, if that is to the right in the file."""
    library: Any = ifcopenshell
    rotation = rotation_to_north(library.open(str(ifc(tmp_path / "a.ifc", body, north))))
    if expected is None:
        assert rotation is None
    else:
        assert rotation is not None
        assert (rotation @ (1.0, 0.0, 0.0))[:2] == pytest.approx(expected)  # pyright: ignore[reportUnknownMemberType]


def test_nodes_and_vertex_colors_are_followed() -> None:
    """A node's scale and translation move a model, and colors of points count with that of the material."""
    nodes = [{"children": [1], "translation": [0, 10, 0]}, {"mesh": 0, "scale": [2, 2, 2]}]
    (primitive,) = GltfModel(cube_glb(nodes=nodes), nothing).shapes()
    assert primitive.points.min(axis=0).tolist() == [0, 10, 0]
    assert primitive.points.max(axis=0).tolist() == [2, 12, 2]
    assert primitive.colors[0].tolist() == [0, 0, 255, 255]


def test_linear_colors_are_shown_as_srgb() -> None:
    """Half of the light is 188 of 255, as glTF means it."""
    assert displayed(np.array([[0.5, 0.0, 1.0, 0.5]])).tolist() == [[188, 0, 255, 128]]


def test_an_accessor_beyond_its_buffer_is_refused() -> None:
    """A model that refers to bytes it does not have is an error of the process that draws."""
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 8000, "type": "VEC3"}]
    with pytest.raises(ValueError, match="size of buffer"):
        list(GltfModel(cube_glb(accessors=accessors), nothing).shapes())


CIRCLE = [{"children": [0, 0], "mesh": 0}]
SIGNED = [
    {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"},
    {"bufferView": 1, "componentType": 5122, "count": 36, "type": "SCALAR"},
]


@pytest.mark.parametrize(
    ("tile", "reason"),
    [
        (cube_glb(nodes=CIRCLE, meshes=[{"primitives": []}]), "a tile has too many nodes"),
        (cube_glb(nodes=[{"mesh": "a"}]), "a.glb does not follow the format"),
        (struct.pack("<4sIII4sII", b"cmpt", 1, 28, 2**32 - 1, b"pnts", 1, 0), "a part that ends before it begins"),
    ],
    ids=["circle", "no index", "empty part"],
)
def test_a_tile_that_does_not_follow_its_format_is_named(tile: bytes, reason: str, tmp_path: Path) -> None:
    """It is the reason why there is no picture, and reading it ends."""
    root = {"geometricError": 1, "content": {"uri": "a.glb"}}
    with pytest.raises(NoPictureError, match=reason):
        read_tileset(tileset(tmp_path, root, a_glb=tile), soon())


def test_indices_below_zero_are_left_out() -> None:
    """A triangle refers to points of its model; one that does not would lead out of the memory of the library."""
    model = GltfModel(cube_glb(accessors=SIGNED, buffers=[{"uri": "a"}]), lambda _: b"\xff" * 1000)
    (primitive,) = model.shapes()
    assert len(primitive.triangles) == 0


def test_tiles_that_are_replaced_are_not_drawn(tmp_path: Path) -> None:
    """With REPLACE the finer tiles stand in for the coarse one, with ADD they stand beside it."""
    for refine, names in (("REPLACE", {"b.glb"}), ("ADD", {"a.glb", "b.glb"})):
        child = {"geometricError": 0, "content": {"uri": "b.glb"}}
        root = {"geometricError": 1, "refine": refine, "content": {"uri": "a.glb"}, "children": [child]}
        choice = choose_tiles(tileset(tmp_path / refine, root, a_glb=cube_glb(), b_glb=cube_glb()))
        assert {placed.file.name for placed in choice.files} == names


def test_a_large_tileset_is_drawn_coarsely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more tiles than are drawn the coarse ones are, and the caption says so."""
    monkeypatch.setattr(tile_choice, "MOST_TILES", 100)
    model = read_tileset(sandbox_tiles(tmp_path, 200), soon())
    assert model.caption.startswith("coarse levels: ")
    assert model.has_north


def test_tiles_on_the_globe_stand_upright(tmp_path: Path) -> None:
    """Shapes of a tileset on the globe are as high as they were made."""
    model = read_tileset(sandbox_tiles(tmp_path, 2), soon())
    assert 5 < np.ptp(model.points[:, 2]) < 10


def test_the_scale_is_that_of_the_model() -> None:
    """The bar's length in pixels is its length in metres at the scale of the view."""
    view = fit(np.array([[0.0, 0.0, 0.0], [100.0, 100.0, 0.0], [0.0, 100.0, 30.0]]))
    text, pixels = view.scale_bar()
    assert text == "20 m"
    assert pixels * view.meters_per_pixel == pytest.approx(20.0)  # pyright: ignore[reportUnknownMemberType]
