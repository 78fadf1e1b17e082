"""Which digests of a tile are noted, and that each of them serves until the next export."""

import hashlib
import os
from pathlib import Path

import pytest

from blocks.errors import ContentError, InterruptedTransferError
from blocks.storage.difference_to_before import compare_tiles
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.tileset.download import FetchedTileset
from blocks.storage.tileset.publish import publish_tileset
from tests.blocks.storage.tileset.tile_downloading import Options, fetch, files_in
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, small, written

WITH = {False: Options(), True: Options(with_sha256=True)}


def published(fetched: FetchedTileset, folder: Path) -> Manifest:
    """Publish what was fetched with the digests that were noted."""
    files = tuple(
        ManifestFile(path=one.name, role="tile", size=one.size, sha256=one.sha256, etag=one.etag, md5=one.md5)
        for one in fetched.tiles
    )
    manifest = written(folder.with_name("unused"), {}).model_copy(update={"files": files})
    return publish_tileset(fetched.folder, folder, manifest)


def digests(fetched: FetchedTileset) -> dict[str, tuple[str, str | None]]:
    """SHA-256 and MD5 of each tile, as they were noted."""
    return {one.name: (one.sha256, one.md5) for one in fetched.tiles}


def expected(blobs: dict[str, bytes], *, sha256: bool, md5: bool) -> dict[str, tuple[str, str | None]]:
    """The same, from the content."""
    return {
        name: (
            hashlib.sha256(content).hexdigest() if sha256 or name == "tileset.json" else "",
            hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 else None,
        )
        for name, content in blobs.items()
    }


@pytest.mark.parametrize(("with_sha256", "has_md5"), [(False, True), (True, True), (False, False), (True, False)])
async def test_noted_digests(with_sha256: bool, has_md5: bool, tmp_path: Path) -> None:
    """A tile has the MD5 that the listing promises, else its SHA-256, and both if asked; tileset.json has SHA-256."""
    blobs = small() | {"big.glb": glb(2_000_000)}
    async with TileServer(blobs, has_md5=has_md5).serve() as server:
        fetched = await fetch(server, tmp_path / "staging", WITH[with_sha256])
    assert digests(fetched) == expected(blobs, sha256=with_sha256 or not has_md5, md5=has_md5)


@pytest.mark.parametrize("now", [False, True])
@pytest.mark.parametrize("before", [False, True])
async def test_the_setting_may_change_between_exports(before: bool, now: bool, tmp_path: Path) -> None:
    """No tile travels again when the setting changes, and only digests that were computed anew are noted."""
    blobs = small()
    async with TileServer(blobs).serve() as server:
        published(await fetch(server, tmp_path / "staging", WITH[before]), tmp_path / "mesh")
        server.delivered.clear()
        options = Options(previous=tmp_path / "mesh", with_sha256=now)
        fetched = await fetch(server, tmp_path / "next", options)
    assert server.delivered.total() == 0
    assert fetched.reused == len(blobs)
    assert digests(fetched) == expected(blobs, sha256=now, md5=True)
    again = tuple(ManifestFile(one.name, "tile", one.size, one.sha256, md5=one.md5) for one in fetched.tiles)
    difference = compare_tiles(tmp_path / "mesh", again, {})
    assert difference is not None
    assert (difference.kept.files, difference.changed.files) == (len(blobs), 0)


@pytest.mark.parametrize("now", [False, True])
async def test_the_setting_may_change_before_a_download_goes_on(now: bool, tmp_path: Path) -> None:
    """A download that was interrupted goes on with the tiles that are there and whole, also with the other setting."""
    blobs = small()
    missing, rotten, *_ = sorted(name for name in blobs if name.endswith("glb"))
    async with TileServer(blobs, faults={missing: ["truncated"] * 9}).serve() as server:
        with pytest.raises(InterruptedTransferError):
            await fetch(server, tmp_path / "staging", WITH[not now])
        server.faults.clear()
        (tmp_path / "staging" / rotten).write_bytes(bytes(len(blobs[rotten])))
        server.delivered.clear()
        fetched = await fetch(server, tmp_path / "staging", WITH[now])
    assert server.delivered == {missing: 1, rotten: 1}
    assert {name: md5 for name, (_, md5) in digests(fetched).items()} == {
        name: md5 for name, (_, md5) in expected(blobs, sha256=now, md5=True).items()
    }
    assert not now or all(sha256 for sha256, _ in digests(fetched).values())
    assert files_in(tmp_path / "staging") == blobs


@pytest.mark.parametrize("with_sha256", [False, True])
async def test_full_verification_reads_whichever_digest_is_noted(with_sha256: bool, tmp_path: Path) -> None:
    """A tile that changed on the disk, with size and time kept, is found by its MD5 as by its SHA-256."""
    async with TileServer(small()).serve() as server:
        manifest = published(await fetch(server, tmp_path / "staging", WITH[with_sha256]), tmp_path / "mesh")
    assert read_manifest(tmp_path / "mesh") == manifest
    verify_published(tmp_path / "mesh", manifest, full=True)
    path = tmp_path / "mesh" / min(file.path for file in manifest.files if file.path.endswith("glb"))
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    verify_published(tmp_path / "mesh", manifest)
    with pytest.raises(ContentError, match="is not the file that was exported"):
        verify_published(tmp_path / "mesh", manifest, full=True)


async def test_unchanged_tiles_are_linked_where_the_listing_no_longer_promises_md5(tmp_path: Path) -> None:
    """Tiles noted by MD5 alone are compared by the SHA-256 of their files, and stay once on the disk."""
    blobs = small()
    async with TileServer(blobs).serve() as server:
        published(await fetch(server, tmp_path / "staging"), tmp_path / "mesh")
    async with TileServer(blobs, has_md5=False).serve() as server:
        fetched = await fetch(server, tmp_path / "next", Options(previous=tmp_path / "mesh"))
    assert digests(fetched) == expected(blobs, sha256=True, md5=False)
    assert all((tmp_path / "next" / name).samefile(tmp_path / "mesh" / name) for name in blobs)


def test_a_file_without_any_digest_is_never_certified(tmp_path: Path) -> None:
    """A manifest that somebody robbed of its digests certifies no content."""
    (tmp_path / "a.glb").write_bytes(b"tile")
    bare = ManifestFile(path="a.glb", role="tile", size=4, sha256="")
    assert not bare.has_content_of(bare)
    with pytest.raises(ContentError):
        verify_published(tmp_path, written(tmp_path / "other", {}).model_copy(update={"files": (bare,)}), full=True)
    by_sha256 = ManifestFile(path="a.glb", role="tile", size=4, sha256="a" * 64)
    by_md5 = ManifestFile(path="a.glb", role="tile", size=4, sha256="", md5="a" * 32)
    assert not by_sha256.has_content_of(by_md5)
