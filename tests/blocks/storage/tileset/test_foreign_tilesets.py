"""Tilesets of other tilers: whole ones pass, none passes with a hole, whether the host lists or not."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import ContentError
from blocks.storage.tileset.verify import verify_tileset
from tests.blocks.storage.tileset.foreign_tilesets import (
    FOREIGN,
    TILES,
    Blobs,
    b3dm,
    cmpt,
    i3dm,
    padded,
    subtree_for_all,
    textured,
)
from tests.blocks.storage.tileset.tile_downloading import fetch, files_in
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, subtree, tile, tileset

Make = Callable[[], Blobs]
both_hosts = pytest.mark.parametrize("lists", [True, False], ids=["lists", "does not list"])


@both_hosts
@pytest.mark.parametrize("make", FOREIGN)
async def test_whole(make: Make, lists: bool, tmp_path: Path) -> None:
    """Every file arrives and the tileset passes; only padding is worth a warning."""
    blobs = make()
    async with TileServer(blobs, lists=lists).serve() as server:
        await fetch(server, tmp_path)
    assert files_in(tmp_path) == blobs
    checked = verify_tileset(tmp_path, {name: len(content) for name, content in blobs.items()})
    assert len(checked.warnings) == (make is padded)
    assert checked.content.tiles == TILES[make]


async def _fetch_and_verify(server: TileServer, folder: Path) -> None:
    await fetch(server, folder)
    verify_tileset(folder)


@both_hosts
@pytest.mark.parametrize(("make", "hole"), [(make, name) for make in FOREIGN for name in make()])
async def test_any_hole(make: Make, hole: str, lists: bool, tmp_path: Path) -> None:
    """Whatever file is missing, it is named, nothing is published and nothing is asked for twice."""
    blobs = make()
    del blobs[hole]
    async with TileServer(blobs, lists=lists).serve() as server:
        with pytest.raises(ContentError, match=re.escape(hole)):
            await _fetch_and_verify(server, tmp_path)
    assert set(server.requested.values()) == {1}


def test_padding_is_a_warning(tmp_path: Path) -> None:
    """The warning names a file that is longer than it declares, and counts the others."""
    _write(tmp_path, padded())
    (warning,) = verify_tileset(tmp_path).warnings
    assert warning.startswith("0-0-0.glb and 2 more of the tileset: longer than declared")


def _write(folder: Path, blobs: Blobs) -> None:
    for name, content in blobs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _endless() -> Blobs:
    tiling = {"subdivisionScheme": "QUADTREE", "subtreeLevels": 1, "subtrees": {"uri": "s"}}
    every = {"contentAvailability": [{"constant": 0}], "childSubtreeAvailability": {"constant": 1}}
    return {"tileset.json": tileset(tile("{x}.glb", implicitTiling=tiling)), "s": subtree(every)}


def _with(content: bytes, name: str = "a") -> Blobs:
    return {"tileset.json": tileset(tile(name)), name: content}


REFUSED: dict[str, tuple[Blobs, str]] = {
    "instances of nothing": (_with(i3dm(b"  \0", 0)), "a of the tileset names no model"),
    "instances of a page": (_with(i3dm(b"m", 0)) | {"m": b"<!DOCTYPE html>"}, "m of the tileset is a page"),
    "a cut model in a batch": (_with(b3dm(glb(90)[:-1])), "a of the tileset is cut off"),
    "a cut tile in a composite": (_with(cmpt(b3dm(glb())[:-1])), "a of the tileset is cut off"),
    "a composite that counts wrong": (_with(cmpt(b3dm(glb())).replace(b"\1\0\0\0b3dm", b"\2\0\0\0b3dm")), "cut off"),
    "tables beyond the file": (_with(i3dm(b"m", 0)[:12] + struct.pack("<5I", 9999, 0, 0, 0, 0)), "a of the tileset"),
    "a page in place of a tile": (
        _with(b"\xef\xbb\xbf\n<html>Sign in</html>", "a.json"),
        "a.json of the tileset is a page",
    ),
    "an answer in place of a tile": (_with(b'{"error": {"code": "NotFound"}}'), "a of the tileset is no document"),
    "a number in place of a glTF": (_with(b'{"asset": {}, "extensions": [3]}'), "a of the tileset does not follow"),
    "a cut document": (_with(tileset(tile("b"))[:-1]), "a of the tileset is not the JSON document"),
    "a document too deep": (_with(b'{"a":' * 100_000), "a of the tileset is not the JSON document"),
    "another host": (
        _with(glb(0, textured("https://host.example/a.png?sig=s"))),
        "a refers to 'https://host.example/a",
    ),
    "another host's share": (_with(glb(0, textured(r"\\host\share\a.png"))), "a refers to"),
    "out of the folder": (_with(glb(0, textured(r"..\..\a.png"))), "a refers to"),
    "no URI at all": (_with(glb(0, textured("//[::1"))), "a refers to"),
    "subtrees without an end": (_endless(), "s of the tileset is its own descendant"),
}


@both_hosts
@pytest.mark.parametrize("name", REFUSED)
async def test_refused(name: str, lists: bool, tmp_path: Path) -> None:
    """What no reader could show is refused with a sentence that names the file, and not asked for twice."""
    blobs, complaint = REFUSED[name]
    async with TileServer(blobs, lists=lists).serve() as server:
        with pytest.raises(ContentError, match=re.escape(complaint)):
            await _fetch_and_verify(server, tmp_path)
    assert set(server.requested.values()) == {1}


def test_subtree_of_every_tile(tmp_path: Path) -> None:
    """A few bytes that claim millions of tiles end in an error, not in a full memory."""
    blobs = subtree_for_all()
    tiling = {"subdivisionScheme": "OCTREE", "subtreeLevels": 10, "subtrees": {"uri": "s"}}
    every = {"contentAvailability": [{"constant": 1}], "childSubtreeAvailability": {"constant": 0}}
    blobs["tileset.json"] = json.dumps({"root": tile("{level}/{x}/{y}/{z}", implicitTiling=tiling)}).encode()
    _write(tmp_path, blobs | {"s": subtree(every)})
    with pytest.raises(ContentError, match="more than"):
        verify_tileset(tmp_path)
