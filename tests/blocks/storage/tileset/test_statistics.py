"""The content report of a tileset: where it is, how big, and what its tiles are."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.storage.content.models import EarthExtent, ExportContent, TilesetContent
from blocks.storage.tileset.bounding_volume import locate
from blocks.storage.tileset.verify import verify_tileset
from deployments.sandbox.content.tiles import TilesSubject, build_tiles
from tests.blocks.storage.tileset.tilesets import glb, implicit, tile, tileset

MUNICH = [0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 6_378_137.0, 0, 0, 1]
"""At 0° N 0° E: x of the tile to the east, y to the north, z up."""


def content_of(folder: Path, blobs: dict[str, bytes]) -> TilesetContent:
    for name, content in blobs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return verify_tileset(folder).content


def test_the_tiles_of_the_sandbox_are_counted_by_level_and_kind(tmp_path: Path) -> None:
    """Levels go on into nested tilesets; bytes and the largest tile are those of the files."""
    blobs = {name: blob.read() for name, blob in build_tiles(TilesSubject("i", "c", 70), datetime.now(UTC)).items()}
    content = content_of(tmp_path, blobs)
    tiles = {name: len(blob) for name, blob in blobs.items() if name.endswith(".glb")}
    assert (content.tiles, content.size) == (len(tiles), sum(tiles.values()))
    assert content.kinds == {"glb": 71}
    assert content.levels == {0: 1, 3: 4, 4: 66}
    assert content.largest_tile
    assert content.largest_tile.size == max(tiles.values()) == tiles[content.largest_tile.path]
    assert (content.version, content.tileset_version) == ("1.1", "c")
    assert (content.least_geometric_error, content.greatest_geometric_error) == (0, 500)
    assert content.extent
    assert content.extent.west == pytest.approx(11.575, abs=1e-6)
    assert content.extent.south == pytest.approx(48.137, abs=1e-6)
    assert content.extent.lowest == pytest.approx(-5, abs=0.1)
    assert content.dimensions == pytest.approx((240.0, 144.0, 20.0))


def test_implicit_tiles_have_their_levels(tmp_path: Path) -> None:
    """The contents of subtrees are on the levels of their coordinates, and a geometric error is halved on each."""
    content = content_of(tmp_path, implicit())
    assert sum(content.levels.values()) == content.tiles
    assert max(content.levels) > 0


def test_extensions_of_all_documents_are_listed(tmp_path: Path) -> None:
    """Extensions that any tileset of the tree uses or requires are named once, and so are kinds of tiles."""
    one = json.loads(tileset(tile("a.glb", tile("inner.json"))))
    inner = json.loads(tileset(tile("b.gltf")))
    one["extensionsUsed"], inner["extensionsUsed"] = ["A"], ["B", "A", 7]
    inner["extensionsRequired"] = ["B"]
    gltf = json.dumps({"asset": {}}).encode()
    blobs = {"tileset.json": json.dumps(one).encode(), "inner.json": json.dumps(inner).encode()}
    content = content_of(tmp_path, blobs | {"a.glb": glb(), "b.gltf": gltf})
    assert (content.extensions_used, content.extensions_required) == (("A", "B"), ("B",))
    assert content.kinds == {"glb": 1, "gltf": 1}
    assert content.levels == {0: 1, 2: 1}


def test_a_box_on_the_equator() -> None:
    """A box of 2000 × 1000 × 20 m around 0° N 0° E lies there, with its corners at the right angles."""
    box = [0, 0, 10, 1000, 0, 0, 0, 500, 0, 0, 0, 10]
    extent, dimensions = locate({"boundingVolume": {"box": box}, "transform": MUNICH})
    assert dimensions == (2000, 1000, 20)
    assert extent
    assert (extent.east, extent.west) == (pytest.approx(0.0089832, abs=1e-6), -extent.east)
    assert (extent.north, extent.south) == (pytest.approx(0.0045219, abs=1e-6), -extent.north)
    assert extent.lowest == pytest.approx(0.1, abs=0.1)


def test_a_region_a_sphere_and_the_180th_meridian() -> None:
    """A region is given in radians; a sphere has the extent of the box around it; west may be greater than east."""
    extent, dimensions = locate({"boundingVolume": {"region": [0.1, 0.2, 0.2, 0.3, -5, 15]}})
    assert extent == EarthExtent(
        west=5.7295780, south=11.4591559, east=11.4591559, north=17.1887339, lowest=-5, highest=15
    )
    assert dimensions
    assert dimensions[2] == 20
    beyond, _ = locate({"boundingVolume": {"sphere": [-6_378_137, 0, 0, 100]}})
    assert beyond
    assert (beyond.west > 179, beyond.east < -179) == (True, True)
    assert beyond.place == "0.0000, 180.0000"


@pytest.mark.parametrize(
    "root",
    [
        {},
        {"boundingVolume": {"box": [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1], "sphere": 1}},
        {"boundingVolume": {"box": ["a"] * 12}},
        {"boundingVolume": {"box": [1e308] * 12}, "transform": [1e308] * 16},
        {"boundingVolume": {"sphere": [0, 0, 0, 1]}, "transform": [1]},
        {"boundingVolume": ["no object"]},
        {"boundingVolume": {"region": [1e308, 1e308, 1e308, 1e308, 0, 0]}},
    ],
)
def test_what_lies_nowhere_has_no_extent(root: dict[str, object]) -> None:
    """A model in coordinates of its own, and a volume that is none, have no extent on the Earth."""
    assert locate(root)[0] is None


def test_the_short_form_says_where_and_how_big(tmp_path: Path) -> None:
    """The sentence of the table names tiles, levels, size and place."""
    blobs = {name: blob.read() for name, blob in build_tiles(TilesSubject("i", "c", 3), datetime.now(UTC)).items()}
    summary = ExportContent(tileset=content_of(tmp_path, blobs)).summary()
    assert summary
    assert summary.sentence().startswith("3D Tiles 1.1: 4 tiles on 3 levels, the largest has ")
    assert summary.sentence().endswith(" m, at 48.1376, 11.5758")
    single = summary.model_copy(update={"tiles": 1, "levels": 1})
    assert single.sentence().startswith("3D Tiles 1.1: 1 tile on 1 level, the largest has ")
