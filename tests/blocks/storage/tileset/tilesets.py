"""Small tilesets, made by hand."""

import hashlib
import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.storage.manifest import Manifest, ManifestFile

Json = dict[str, Any]


def glb(fill: int = 200, document: Json | None = None) -> bytes:
    chunk = json.dumps(document or {"asset": {"version": "2.0"}}).encode()
    chunk += b" " * (-len(chunk) % 4)
    body = struct.pack("<I4s", len(chunk), b"JSON") + chunk + bytes(fill)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def tile(uri: str | None = None, *children: Json, **members: Any) -> Json:
    content = {"content": {"uri": uri}} if uri else {}
    return (
        {"geometricError": 1, "boundingVolume": {"sphere": [0, 0, 0, 1]}, "children": list(children)}
        | content
        | members
    )


def tileset(root: Json) -> bytes:
    return json.dumps({"asset": {"version": "1.1"}, "geometricError": 1, "root": root}).encode()


def small(count: int = 12) -> dict[str, bytes]:
    """A root with one child per tile, some in folders and with names that need encoding."""
    names = [f"tiles/{index % 3}/tile {index}#{index}.glb" for index in range(count)]
    uris = [name.replace(" ", "%20").replace("#", "%23") for name in names]
    blobs = {name: glb(100 + index) for index, name in enumerate(names)}
    return {"tileset.json": tileset(tile(None, *(tile(uri) for uri in uris)))} | blobs


def subtree(document: Json, body: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<4sIQQ", b"subt", 1, len(text), len(body)) + text + body


def implicit() -> dict[str, bytes]:
    """A quadtree of two levels per subtree, with binary, JSON and external availability."""
    tiling = {
        "subdivisionScheme": "QUADTREE",
        "subtreeLevels": 2,
        "availableLevels": 4,
        "subtrees": {"uri": "subtrees/{level}/{x}/{y}.subtree"},
    }
    root = subtree(
        {
            "buffers": [{"byteLength": 3}],
            "bufferViews": [
                {"buffer": 0, "byteOffset": 0, "byteLength": 1},
                {"buffer": 0, "byteOffset": 1, "byteLength": 2},
            ],
            "tileAvailability": {"constant": 1},
            "contentAvailability": [{"bitstream": 0}],
            "childSubtreeAvailability": {"bitstream": 1},
        },
        bytes([0b10101, 0b0001_0000, 0b1000_0000]),  # contents 0, 2 and 4; children 4 and 15
    )
    leaf = json.dumps(
        {
            "buffers": [{"uri": "bits.bin", "byteLength": 1}],
            "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 1}],
            "tileAvailability": {"constant": 1},
            "contentAvailability": [{"bufferView": 0}],
            "childSubtreeAvailability": {"constant": 0},
        }
    ).encode()
    none = subtree({"contentAvailability": [{"constant": 0}], "childSubtreeAvailability": {"constant": 0}})
    contents = ["0/0/0", "1/1/0", "1/1/1", "2/2/0"]
    return {
        "tileset.json": tileset(tile("content/{level}/{x}/{y}.glb", implicitTiling=tiling)),
        "subtrees/0/0/0.subtree": root,
        "subtrees/2/2/0.subtree": leaf,
        "subtrees/2/2/bits.bin": bytes([0b1]),
        "subtrees/2/3/3.subtree": none,
    } | {f"content/{at}.glb": glb() for at in contents}


def written(folder: Path, blobs: dict[str, bytes]) -> Manifest:
    """Write the files of a tileset into a folder; the manifest lists them."""
    files: list[ManifestFile] = []
    for name, content in blobs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(
            ManifestFile(
                path=name, role="tile", size=len(content), sha256=hashlib.sha256(content).hexdigest(),
                mtime_ns=path.stat().st_mtime_ns, md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            )
        )  # fmt: skip
    return manifest_of(tuple(files))


def manifest_of(files: tuple[ManifestFile, ...]) -> Manifest:
    """A manifest that lists these files."""
    return Manifest(
        api_url="https://api.example", imodel_id="a", changeset_id=None, format="mesh", tool_version="0",
        files=files, created_at=datetime.now(UTC),
    )  # fmt: skip
