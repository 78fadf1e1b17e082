"""A tileset with a hole, a cut tile or a wrong document does not pass."""

import json
import re
from pathlib import Path

import pytest

from blocks.errors import ContentError
from blocks.storage.tileset.references import resolve
from blocks.storage.tileset.verify import verify_tileset
from tests.blocks.storage.tileset.tilesets import Json, glb, implicit, small, subtree, tile, tileset


def write(folder: Path, blobs: dict[str, bytes]) -> Path:
    for name, content in blobs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def nested() -> dict[str, bytes]:
    """External tilesets, several contents, glTF with files of its own, queries and parents in URIs."""
    gltf = json.dumps({"asset": {}, "buffers": [{"uri": "b.bin"}, {"uri": "data:,x"}], "images": [{"uri": "i%20.png"}]})
    inner = tileset(tile("../shared/a.glb?session=1", tile(contents=[{"uri": "b.gltf"}, {"uri": "c.b3dm"}])))
    old = {"extensions": {"3DTILES_multiple_contents": {"content": [{"uri": "shared/d.glb"}]}}}
    return {
        "tileset.json": tileset(tile(None, tile("inner/tileset.json"), tile(None, **old))),
        "inner/tileset.json": inner,
        "inner/b.gltf": gltf.encode(),
        "inner/b.bin": b"1",
        "inner/i .png": b"1",
        "inner/c.b3dm": b"b3dm" + (1).to_bytes(4, "little") + (28).to_bytes(4, "little") + bytes(16),
        "shared/a.glb": glb(0, {"images": [{"uri": "texture.png"}]}),
        "shared/texture.png": b"1",
        "shared/d.glb": glb(),
    }


@pytest.mark.parametrize("blobs", [small(), nested(), implicit()], ids=["small", "nested", "implicit"])
def test_whole(blobs: dict[str, bytes], tmp_path: Path) -> None:
    """A whole tileset passes, with and without a listing to compare with; other files do not matter."""
    folder = write(tmp_path, blobs | {"notes.txt": b"mine"})
    verify_tileset(folder)
    verify_tileset(folder, {name: len(content) for name, content in blobs.items()})


@pytest.mark.parametrize(
    ("make", "name"),
    [(make, name) for make in (small, nested, implicit) for name in make()],
)
def test_any_hole(make: type, name: str, tmp_path: Path) -> None:
    """Whatever file is missing, it is named."""
    folder = write(tmp_path, make())
    (folder / name).unlink()
    with pytest.raises(ContentError, match=re.escape(name)):
        verify_tileset(folder)


@pytest.mark.parametrize(
    ("make", "name"),
    [(make, name) for make in (small, nested) for name in make() if name.endswith(("glb", "b3dm", "json", "gltf"))],
)
@pytest.mark.parametrize("size", [0, 7, -1])
def test_any_cut(make: type, name: str, size: int, tmp_path: Path) -> None:
    """A tile or document cut anywhere is noticed without a listing."""
    folder = write(tmp_path, make())
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:size])
    with pytest.raises(ContentError):
        verify_tileset(folder)


def test_wrong_length(tmp_path: Path) -> None:
    """A file of another length than listed is noticed, whatever its kind."""
    folder = write(tmp_path, nested())
    with pytest.raises(ContentError, match=r"inner/b\.bin of the tileset has 1 bytes instead of 2"):
        verify_tileset(folder, {"inner/b.bin": 2})


@pytest.mark.parametrize(
    ("blobs", "complaint"),
    [
        ({}, r"lacks tileset\.json"),
        ({"tileset.json": b"<html>"}, "not the JSON document"),
        ({"tileset.json": b"[]"}, "not the JSON document"),
        ({"tileset.json": tileset(tile())}, "is empty"),
        ({"tileset.json": b'{"root": {"children": 3}}'}, "does not follow"),
        ({"tileset.json": b'{"root": {"content": {"uri": 3}}}'}, "does not follow"),
        ({"tileset.json": tileset(tile("a.glb")), "a.glb": b"<html>Sign in</html>"}, "no glb file"),
        ({"tileset.json": tileset(tile("a.bin")), "a.bin": b""}, "has no bytes"),
    ],
)
def test_refused(blobs: dict[str, bytes], complaint: str, tmp_path: Path) -> None:
    """What is no tileset, or shows nothing, is refused with a reason."""
    with pytest.raises(ContentError, match=complaint):
        verify_tileset(write(tmp_path, blobs))


@pytest.mark.parametrize(
    "uri", ["../a.glb", "x/../../a.glb", "/a.glb", "https://host/a.glb?sig=s", "//host/a", "", "?q"]
)
def test_out_of_the_tileset(uri: str) -> None:
    """A reference that leaves the tileset is refused, without its query."""
    with pytest.raises(ContentError) as caught:
        resolve("tileset.json", uri)
    assert "sig" not in str(caught.value)


def test_circle(tmp_path: Path) -> None:
    """Tilesets that refer to each other are walked once."""
    blobs = {
        "tileset.json": tileset(tile("a.json")),
        "a.json": tileset(tile("tileset.json", tile("a.json"), tile("b.glb"))),
        "b.glb": glb(),
    }
    verify_tileset(write(tmp_path, blobs))


@pytest.mark.parametrize(
    "document",
    [
        {"contentAvailability": [{"bitstream": 0}]},
        {
            "contentAvailability": [{"bitstream": 0}],
            "bufferViews": [{"buffer": 5, "byteLength": 1}],
            "buffers": [],
        },
        {
            "contentAvailability": [{"bitstream": 0}],
            "bufferViews": [{"buffer": 0, "byteLength": 0}],
            "buffers": [{"byteLength": 0}],
        },
        {"contentAvailability": 3},
    ],
)
def test_broken_subtree(document: Json, tmp_path: Path) -> None:
    """A subtree that refers to bits it does not have is refused."""
    blobs = implicit() | {"subtrees/0/0/0.subtree": subtree(document)}
    with pytest.raises(ContentError, match="subtree"):
        verify_tileset(write(tmp_path, blobs))


def test_endless_subtrees(tmp_path: Path) -> None:
    """A template that names the same subtree for every level does not go round for ever."""
    tiling = {"subdivisionScheme": "OCTREE", "subtreeLevels": 2, "subtrees": {"uri": "s.subtree"}}
    every = {"contentAvailability": [{"constant": 1}], "childSubtreeAvailability": {"constant": 1}}
    blobs = {
        "tileset.json": tileset(tile("a.glb", implicitTiling=tiling)),
        "s.subtree": subtree(every),
        "a.glb": glb(),
    }
    verify_tileset(write(tmp_path, blobs))


def test_octree(tmp_path: Path) -> None:
    """In an octree the third axis counts."""
    tiling = {
        "subdivisionScheme": "OCTREE",
        "subtreeLevels": 2,
        "subtrees": {"uri": "{level}.{x}.{y}.{z}.subtree"},
    }
    last = {
        "buffers": [{"byteLength": 2}],
        "bufferViews": [{"buffer": 0, "byteLength": 2}],
        "contentAvailability": [{"bitstream": 0}],
        "childSubtreeAvailability": {"constant": 0},
    }
    blobs = {
        "tileset.json": tileset(tile("{level}.{x}.{y}.{z}.glb", implicitTiling=tiling)),
        "0.0.0.0.subtree": subtree(last, bytes([0b0010_0000, 0b1])),  # children 4 (above) and 7 (far corner)
        "1.0.0.1.glb": glb(),
        "1.1.1.1.glb": glb(),
    }
    verify_tileset(write(tmp_path, blobs))
