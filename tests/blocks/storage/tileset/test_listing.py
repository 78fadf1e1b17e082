"""What a host lists is taken with care."""

from pathlib import Path

import pytest

from blocks.errors import ContentError, InterruptedTransferError, TransferError
from blocks.storage.tileset.listing import check_names, header_etag
from tests.blocks.storage.tileset.tile_downloading import fetch, files_in
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, small


@pytest.mark.parametrize(
    "names",
    [
        ["../evil.glb"], ["a/../../evil.glb"], ["/etc/passwd"], ["C:/evil.glb"], ["a\\b.glb"], ["con.glb"],
        ["a//b.glb"], ["a/./b.glb"], ["a."], ["a/b "], ["a\x01.glb"], ["x" * 300], ["manifest.json"],
        ["A.glb", "a.glb"], ["e\u0301.glb", "\u00e9.glb"], ["a", "a/b.glb"], ["stra\u00dfe", "STRASSE"],
    ],
)  # fmt: skip
async def test_evil_names(names: list[str], tmp_path: Path) -> None:
    """Names that leave the folder, collide or do not work everywhere stop it before anything is written."""
    blobs = small() | {name: glb() for name in names}
    with pytest.raises(ContentError):
        check_names(blobs)
    if "\x01" in names[0]:
        return  # no XML listing can hold it
    async with TileServer(blobs).serve() as server:
        with pytest.raises(ContentError):
            await fetch(server, tmp_path / "staging")
    assert server.requested.total() == 0
    assert files_in(tmp_path / "staging") == {}


async def test_folder_stubs(tmp_path: Path) -> None:
    """Empty blobs that mark folders are no files, wherever the slash is; an empty file stays."""
    blobs = small()
    stubs = {"tiles": b"", "tiles/1/": b"", "empty/": b""}
    async with TileServer(blobs | stubs | {"notes.txt": b""}).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs | {"notes.txt": b""}


async def test_file_named_like_a_folder(tmp_path: Path) -> None:
    """A name that ends in a slash and has bytes cannot be stored, and is refused."""
    async with TileServer(small() | {"tiles/1/": b"1"}).serve() as server:
        with pytest.raises(ContentError, match="cannot be stored safely"):
            await fetch(server, tmp_path / "staging")


async def test_redirect(tmp_path: Path) -> None:
    """A host that redirects is refused, and the other host never learns the link."""
    server = TileServer(small())
    async with TileServer(small()).serve() as other, server.serve():
        server.redirects = other.link()
        with pytest.raises(TransferError, match="redirects are not followed"):
            await fetch(server, tmp_path / "staging")
    assert other.requested.total() == other.pages == 0


async def test_listing_in_a_circle(tmp_path: Path) -> None:
    """A listing whose pages never end is given up."""
    async with TileServer(small(), page_size=2, circle=True).serve() as server:
        with pytest.raises(InterruptedTransferError, match="circle"):
            await fetch(server, tmp_path / "staging")


@pytest.mark.parametrize(
    ("listed", "sent"), [("0x8D", '"0x8D"'), ('"0x8D"', '"0x8D"'), ("a\r\nX-Evil: b", None), (None, None)]
)
def test_etag(listed: str | None, sent: str | None) -> None:
    """An ETag goes out in quotes, and one that would make headers of its own not at all."""
    assert header_etag(listed) == sent
