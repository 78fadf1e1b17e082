"""Tiles that are stored compressed are checked as they are stored and kept decoded."""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import ContentError
from blocks.storage.tileset.verify import verify_tileset
from tests.blocks.storage.tileset.tile_downloading import fetch, files_in
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, tile, tileset

NOISE = hashlib.shake_128(b"noise").digest(1_500_000)
BLOBS = {"tileset.json": tileset(tile("big.glb", tile("small.glb"))), "big.glb": glb(9) + NOISE, "small.glb": glb()}
STORED = {name: gzip.compress(content) for name, content in BLOBS.items()}


def serving(
    stored: dict[str, bytes], encoding: str = "gzip", *, lists: bool = True, has_md5: bool = True
) -> TileServer:
    return TileServer(stored, lists=lists, has_md5=has_md5, encodings=dict.fromkeys(stored, encoding))


@pytest.mark.parametrize("has_md5", [True, False])
@pytest.mark.parametrize("lists", [True, False])
async def test_compressed(lists: bool, has_md5: bool, tmp_path: Path) -> None:
    """Small and large tiles arrive decoded, each asked for once, and are described as they lie on the disk."""
    async with serving(STORED, lists=lists, has_md5=has_md5).serve() as server:
        fetched = await fetch(server, tmp_path / "staging")
        again = await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == BLOBS
    assert {one.name: (one.size, one.sha256) for one in fetched.tiles} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in BLOBS.items()
    }
    assert again.tiles == fetched.tiles
    assert set(server.delivered.values()) == {1}
    verify_tileset(tmp_path / "staging", {one.name: one.size for one in fetched.tiles})


@pytest.mark.parametrize(
    ("encoding", "compress"), [("deflate", zlib.compress), ("GZIP", gzip.compress), ("identity", bytes)]
)
async def test_other_encodings(encoding: str, compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Deflate, capitals and the encoding that is none are understood."""
    stored = {name: compress(content) for name, content in BLOBS.items()}
    async with serving(stored, encoding).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == BLOBS


@pytest.mark.parametrize(
    ("small", "encoding", "complaint"),
    [
        (STORED["small.glb"][:-9], "gzip", "small.glb comes with a Content-Encoding that its bytes do not follow"),
        (BLOBS["small.glb"], "gzip", "small.glb comes with a Content-Encoding that its bytes do not follow"),
        (gzip.compress(bytes(80_000_000)), "gzip", "more than 100 times"),
        (STORED["small.glb"], "br", "'br', which cannot be decoded"),
    ],
    ids=["cut", "plain", "bomb", "brotli"],
)
async def test_never_better(small: bytes, encoding: str, complaint: str, tmp_path: Path) -> None:
    """Bytes whose MD5 is right and that cannot be decoded are refused and not asked for again."""
    server = serving(STORED | {"small.glb": small})
    server.encodings["small.glb"] = encoding
    async with server.serve():
        with pytest.raises(ContentError, match=complaint):
            await fetch(server, tmp_path / "staging")
    assert server.requested["small.glb"] == 1


async def test_damaged_on_the_way(tmp_path: Path) -> None:
    """Without an MD5, bytes that cannot be decoded may come better the next time; the same ones twice are final."""
    async with serving(STORED, has_md5=False).serve() as server:
        server.encodings.pop("small.glb")
        server.blobs = STORED | {"small.glb": BLOBS["small.glb"]}
        server.faults["small.glb"] = ["encoded"]
        await fetch(server, tmp_path / "staging")
        server.faults["small.glb"] = ["encoded"] * 9
        before = server.requested["small.glb"]
        with pytest.raises(ContentError, match=r"Content-Encoding.*The same bytes came twice"):
            await fetch(server, tmp_path / "other")
        assert server.requested["small.glb"] - before == 2
    assert files_in(tmp_path / "staging") == BLOBS
