"""Tilesets in the habits of other tilers, made by hand; every file of each is needed."""

import json
import struct

from tests.blocks.storage.tileset.tilesets import Json, glb, subtree, tile, tileset

Blobs = dict[str, bytes]


def b3dm(model: bytes, *, header: int = 28) -> bytes:
    """A batched model; headers of 20 and 24 bytes are older than 3D Tiles 1.0."""
    table = b'{"BATCH_LENGTH":0}  '
    counts = {28: (len(table), 0, 0, 0), 24: (len(table), 0, 1), 20: (1, len(table))}[header]
    body = struct.pack(f"<{len(counts)}I", *counts) + table + model
    return struct.pack("<4sII", b"b3dm", 1, 12 + len(body)) + body


def i3dm(model: bytes, kind: int) -> bytes:
    """Instances of a model: kind 0 names it, kind 1 holds it."""
    table = b'{"INSTANCES_LENGTH":1,"POSITION":[0,0,0]}   '
    body = struct.pack("<5I", len(table), 0, 0, 0, kind) + table + model
    return struct.pack("<4sII", b"i3dm", 1, 12 + len(body)) + body


def pnts() -> bytes:
    table = b'{"POINTS_LENGTH":0} '
    return struct.pack("<4s6I", b"pnts", 1, 28 + len(table), len(table), 0, 0, 0) + table


def cmpt(*tiles: bytes) -> bytes:
    return struct.pack("<4sIII", b"cmpt", 1, 16 + sum(map(len, tiles)), len(tiles)) + b"".join(tiles)


def textured(image: str, **members: object) -> Json:
    return {"asset": {"version": "2.0"}, "images": [{"uri": image}], **members}


def gltf_1(program: str) -> bytes:
    """A binary glTF 1.0, whose members are objects and not lists."""
    document: Json = {
        "buffers": {"binary_glTF": {"byteLength": 0, "uri": "data:,"}},
        "shaders": {"fragment": {"type": 35632, "uri": program}},
    }
    text = json.dumps(document).encode()
    return struct.pack("<4sIIII", b"glTF", 1, 20 + len(text), len(text), 0) + text


def instances() -> Blobs:
    """Instances that name a glTF, which names a buffer and an image."""
    model = json.dumps(textured("bark.png", buffers=[{"uri": "tree.bin", "byteLength": 1}])).encode()
    return {
        "tileset.json": tileset(tile("trees/all.i3dm", tile("trees/some.i3dm"))),
        "trees/all.i3dm": i3dm(b"../models/tree.gltf\0  \0", 0),
        "trees/some.i3dm": i3dm(glb(0, textured("leaf.png")), 1),
        "trees/leaf.png": b"1",
        "models/tree.gltf": model,
        "models/tree.bin": b"1",
        "models/bark.png": b"1",
    }


def batches() -> Blobs:
    """Batched models with textures in files of their own, in all three headers."""
    kinds = {f"{size}.b3dm": b3dm(glb(5000, textured(f"{size}.jpg")), header=size) for size in (20, 24, 28)}
    images = {f"{size}.jpg": b"1" for size in (20, 24, 28)}
    return {"tileset.json": tileset(tile(None, *map(tile, kinds)))} | kinds | images


def composites() -> Blobs:
    """A composite in a composite, each with models that name files."""
    inner = cmpt(i3dm(b"model.glb", 0), pnts())
    outer = cmpt(b3dm(glb(0, textured("roof.png"))), inner, b3dm(glb(0, textured("wall.png"))))
    return {
        "tileset.json": tileset(tile("a/b.cmpt")),
        "a/b.cmpt": outer,
        "a/roof.png": b"1",
        "a/wall.png": b"1",
        "a/model.glb": glb(0, textured("door.png")),
        "a/door.png": b"1",
    }


def without_endings() -> Blobs:
    """Files whose kind only their first bytes tell."""
    return {
        "tileset.json": tileset(tile("area/1", tile("points", tile("area/3")))),
        "area/1": tileset(tile("2")),
        "area/2": glb(0, textured("4")),
        "area/3": b3dm(glb(0, textured("5"))),
        "area/4": b"1",
        "area/5": b"1",
        "points": pnts(),
    }


def wrong_endings() -> Blobs:
    """A glTF in JSON called GLB, a GLB called b3dm and an external tileset called glTF."""
    return {
        "tileset.json": tileset(tile("a.b3dm", tile("c.gltf"), tile("e.i3dm"))),
        "a.b3dm": glb(0, textured("b.png")),
        "b.png": b"1",
        "c.gltf": tileset(tile("d.pnts")),
        "d.pnts": cmpt(),
        "e.i3dm": b3dm(gltf_1("f.glsl")),
        "f.glsl": b"1",
    }


def metadata() -> Blobs:
    """Schemas in files of their own, for tilesets and glTF, and GeoJSON as a content."""
    schema = json.dumps({"id": "s", "classes": {"uri": {"properties": {}}}}).encode()
    extension: Json = {"EXT_structural_metadata": {"schemaUri": "../schemas/a.json", "propertyTables": []}}
    shaders = {"KHR_techniques_webgl": {"shaders": [{"type": 35632, "uri": "x.glsl"}]}}
    old = {"asset": {"version": "1.0"}, "extensions": {"3DTILES_metadata": {"schemaUri": "schemas/c.json"}}}
    return {
        "tileset.json": json.dumps({
            "asset": {"version": "1.1"}, "schemaUri": "schemas/b.json",
            "root": tile("tiles/a.glb", tile("old.json"), tile("tiles/b.geojson")),
        }).encode(),
        "old.json": json.dumps(old | {"root": tile("tiles/c.glb")}).encode(),
        "tiles/a.glb": glb(0, {"asset": {}, "extensions": extension}),
        "tiles/b.geojson": b'{"type": "FeatureCollection", "features": []}',
        "tiles/c.glb": glb(0, {"asset": {}, "extensions": shaders}),
        "tiles/x.glsl": b"1",
        "schemas/a.json": schema,
        "schemas/b.json": schema,
        "schemas/c.json": schema,
    }  # fmt: skip


def backslashes() -> Blobs:
    """URIs as a tiler on Windows wrote them."""
    return {
        "tileset.json": tileset(tile("Data\\Tile_1\\tileset.json")),
        "Data/Tile_1/tileset.json": tileset(tile(".\\L0\\a b.b3dm")),
        "Data/Tile_1/L0/a b.b3dm": b3dm(glb(0, textured("..\\..\\shared\\c.jpg"))),
        "Data/shared/c.jpg": b"1",
    }


def byte_order_mark() -> Blobs:
    """Documents that begin with a byte-order mark, and a GLB whose document ends in NULs."""
    text = json.dumps(textured("b.png")).encode() + b"\0" * 7
    body = struct.pack("<I4s", len(text), b"JSON") + text
    return {
        "tileset.json": b"\xef\xbb\xbf" + tileset(tile("inner")),
        "inner": b"\xef\xbb\xbf\r\n" + tileset(tile("a.glb")),
        "a.glb": struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body,
        "b.png": b"1",
    }


def _implicit(levels: int, template: str, document: Json, body: bytes = b"") -> Blobs:
    tiling = {"subdivisionScheme": "QUADTREE", "subtreeLevels": levels, "subtrees": {"uri": template}}
    leaf = subtree({"contentAvailability": [{"constant": 0}], "childSubtreeAvailability": {"constant": 0}})
    names = {template.replace("{level}", "0"): subtree(document, body)}
    if "{level}" in template:
        names[template.replace("{level}", str(levels))] = leaf
    return {"tileset.json": tileset(tile("{level}-{x}-{y}.glb", implicitTiling=tiling))} | names


def subtree_for_all() -> Blobs:
    """One subtree a level, which serves every place: each place has contents of its own."""
    blobs = _implicit(
        1, "{level}.subtree", {"contentAvailability": [{"constant": 1}], "childSubtreeAvailability": {"constant": 1}}
    )
    blobs["1.subtree"] = subtree(
        {"contentAvailability": [{"constant": 1}], "childSubtreeAvailability": {"constant": 0}}
    )
    places = ["0-0-0", *(f"1-{x}-{y}" for x in (0, 1) for y in (0, 1))]
    return blobs | {f"{place}.glb": glb() for place in places}


def ten_levels() -> Blobs:
    """A subtree of ten levels, of which the first and the last tile have contents."""
    count = (4**10 - 1) // 3
    bits = bytearray(-(-count // 8))
    bits[0] |= 1
    bits[(count - 1) >> 3] |= 1 << ((count - 1) & 7)
    document: Json = {
        "buffers": [{"byteLength": len(bits)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(bits)}],
        "contentAvailability": [{"bitstream": 0}],
        "childSubtreeAvailability": {"constant": 0},
    }
    blobs = _implicit(10, "only.subtree", document, bytes(bits))
    return blobs | {"0-0-0.glb": glb(), "9-511-511.glb": glb()}


def padded() -> Blobs:
    """Tiles and subtrees that go on after the end they declare."""
    blobs = subtree_for_all() | {"0-0-0.glb": glb(0, textured("a.png")) + bytes(4), "a.png": b"1"}
    return blobs | {"1.subtree": blobs["1.subtree"] + bytes(8), "1-0-0.glb": b3dm(glb()) + b"\n"}


FOREIGN = (
    instances, batches, composites, without_endings, wrong_endings, metadata, backslashes, byte_order_mark,
    subtree_for_all, ten_levels, padded,
)  # fmt: skip

TILES = {
    instances: 2, batches: 3, composites: 1, without_endings: 3, wrong_endings: 3, metadata: 3, backslashes: 1,
    byte_order_mark: 1, subtree_for_all: 5, ten_levels: 2, padded: 5,
}  # fmt: skip
"""How many tiles each has: contents that are no tilesets."""
