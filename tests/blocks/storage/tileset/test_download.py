"""A tileset arrives whole, nothing twice, nothing outside its folder."""

import asyncio
import hashlib
import logging
import os
import ssl
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError, ContentError, DiskError, InterruptedTransferError, LinkExpiredError
from blocks.signed_url import SignedUrl
from blocks.storage.manifest import write_manifest
from blocks.storage.renewable_link import FetchLink, RenewableLink
from blocks.storage.retry import RetryPolicy
from blocks.storage.tileset.curl_reader import NEAR_THREADS, TileDownloader
from blocks.storage.tileset.download import checkpoint_path
from blocks.storage.tileset.listing import Tile
from tests.benchmarks.blob_host import certify
from tests.blocks.storage.tileset.tile_downloading import HASTY, Options, fetch, files_in
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, implicit, small, tile, tileset, written


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("make", [small, implicit])
async def test_whole(make: Callable[[], dict[str, bytes]], lists: bool, tmp_path: Path) -> None:
    """Every file arrives, with a listing in pages or by following references, and is described rightly."""
    blobs = make()
    async with TileServer(blobs, lists=lists, page_size=5).serve() as server:
        fetched = await fetch(server, tmp_path / "staging", Options(with_sha256=True))
    assert files_in(tmp_path / "staging") == blobs
    assert {one.name: one.sha256 for one in fetched.tiles} == {
        name: hashlib.sha256(content).hexdigest() for name, content in blobs.items()
    }
    assert fetched.total_bytes == sum(map(len, blobs.values()))
    assert set(server.requested.values()) == {1}


async def test_large_tile(tmp_path: Path) -> None:
    """A tile of several megabytes is streamed and whole."""
    blobs = {"tileset.json": tileset(tile("big.glb")), "big.glb": glb(5_000_000)}
    async with TileServer(blobs).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs


@pytest.mark.parametrize(
    ("fault", "has_md5"),
    [
        ("busy", True), ("truncated", False), ("short", False), ("flip", True), ("encoded", False), ("endless", False),
        ("stall", False),
    ],
)  # fmt: skip
async def test_one_fault(fault: str, has_md5: bool, tmp_path: Path) -> None:
    """A tile that comes wrong once is fetched again, alone."""
    blobs = small()
    name = sorted(blobs)[3]
    async with TileServer(blobs, faults={name: [fault]}, has_md5=has_md5).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs
    assert server.requested.total() == len(blobs) + 1


@pytest.mark.parametrize("fault", ["busy", "short", "truncated", "flip"])
async def test_lasting_fault(fault: str, tmp_path: Path) -> None:
    """A tile that never comes right ends in an interruption that names it and keeps the rest."""
    blobs = small()
    name = sorted(blobs)[3]
    async with TileServer(blobs, faults={name: [fault] * 9}).serve() as server:
        with pytest.raises(InterruptedTransferError, match=name):
            await fetch(server, tmp_path / "staging")
        server.faults.clear()
        server.delivered.clear()
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs
    assert server.delivered == {name: 1}


@pytest.mark.parametrize("fault", ["busy", "later", "truncated"])
async def test_requests_for_a_tile_that_always_fails(fault: str, tmp_path: Path) -> None:
    """A tile that never arrives is requested as often as the policy says, however many others arrive meanwhile."""
    blobs = small(200)
    name = min(blobs)
    async with TileServer(blobs, faults={name: [fault] * 100}).serve() as server:
        with pytest.raises(InterruptedTransferError) as caught:
            await fetch(server, tmp_path / "staging")
    assert server.requested[name] <= HASTY.attempts
    assert caught.value.is_retried


@pytest.mark.parametrize("fault", ["truncated", "endless", "encoded"])
async def test_fault_without_a_listing(fault: str, tmp_path: Path) -> None:
    """Where nothing is known of a tile but its name, an answer that may not be whole is not believed either."""
    blobs = small()
    name = sorted(blobs)[3]
    async with TileServer(blobs, lists=False, faults={name: [fault]}).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs


async def test_pause_asked_for(tmp_path: Path) -> None:
    """A host that asks for a pause gets it."""
    asked: list[float] = []

    class Noting(RetryPolicy):
        def pause(self, attempt: int, asked_for: float = 0.0) -> float:
            asked.append(asked_for)
            return super().pause(attempt)

    retry_policy = Noting(attempts=3, first_pause=0.001, longest_pause=0.01)
    blobs = small()
    async with TileServer(blobs, faults={min(blobs): ["later"]}).serve() as server:
        await fetch(server, tmp_path / "staging", Options(retry_policy=retry_policy))
    assert files_in(tmp_path / "staging") == blobs
    assert asked == [7.0]


async def test_connections_are_kept(tmp_path: Path) -> None:
    """However many levels of references are followed, a host sees no more connections than threads and one listing."""
    blobs = {"tileset.json": tileset(tile("1.json")), "9.json": tileset(tile("9.glb")), "9.glb": glb()}
    blobs |= {f"{level}.json": tileset(tile(f"{level + 1}.json")) for level in range(1, 9)}
    async with TileServer(blobs, lists=False).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs
    assert server.connections <= NEAR_THREADS + 1


async def test_far_host(tmp_path: Path) -> None:
    """A host that takes its time is asked for more tiles at once than one that answers at once."""
    async with TileServer(small(200), delay=0.02).serve() as server:
        await fetch(server, tmp_path / "staging")
    assert server.connections > NEAR_THREADS + 1


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_certificate(is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles come from a host that `SSL_CERT_FILE` vouches for, and from no other."""
    certify(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with TileServer(small()).serve(tls) as server:
        with nullcontext() if is_trusted else pytest.raises(ConfigurationError, match="not trusted"):
            await asyncio.to_thread(TileDownloader(tmp_path, 2).save, SignedUrl(server.link()), Tile("tileset.json"))
    assert (tmp_path / "tileset.json").exists() == is_trusted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("size", [100_000, 1_500_000])
async def test_full_disk(size: int, tmp_path: Path) -> None:
    """A disk that takes a part of a tile and no more is an error that says so, not a short tile."""
    from resource import RLIMIT_FSIZE, getrlimit, setrlimit  # noqa: PLC0415  not on Windows

    blobs = {"tileset.json": tileset(tile("big.glb")), "big.glb": glb(size)}
    before = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (size // 2, before[1]))
    try:
        async with TileServer(blobs).serve() as server:
            with pytest.raises(DiskError, match=str(tmp_path / "staging")):
                await fetch(server, tmp_path / "staging")
    finally:
        setrlimit(RLIMIT_FSIZE, before)


@pytest.mark.parametrize("lists", [True, False])
async def test_second_process(lists: bool, tmp_path: Path) -> None:
    """What is there and unchanged does not travel again; what was damaged meanwhile does."""
    blobs = small()
    async with TileServer(blobs, lists=lists).serve() as server:
        await fetch(server, tmp_path / "staging")
        damaged = sorted(blobs)[2]
        (tmp_path / "staging" / damaged).write_bytes(bytes(len(blobs[damaged])))
        server.delivered.clear()
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == blobs
    assert server.delivered == {damaged: 1}


async def test_torn_journal(tmp_path: Path) -> None:
    """A journal line cut by a crash costs that tile only."""
    blobs = small()
    async with TileServer(blobs).serve() as server:
        await fetch(server, tmp_path / "staging")
        note = checkpoint_path(tmp_path / "staging")
        note.write_bytes(note.read_bytes()[:-20])
        server.delivered.clear()
        await fetch(server, tmp_path / "staging")
    assert server.delivered.total() == 1
    assert files_in(tmp_path / "staging") == blobs


async def test_other_version_in_staging(tmp_path: Path) -> None:
    """A staging folder with another version ends up with this one and nothing else."""
    new = small(5) | {"tiles/0/tile 0#0.glb": glb(77)}
    async with TileServer(small(9)).serve() as server:
        await fetch(server, tmp_path / "staging")
        server.blobs = new
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == new


def renewing(server: TileServer, renewals: list[str]) -> FetchLink:
    async def fetch_link() -> SignedUrl:
        await asyncio.sleep(0)
        renewals.append(f"secret/{len(renewals)}+")
        server.signatures.add(renewals[-1])
        return SignedUrl(server.link(renewals[-1]))

    return fetch_link


@pytest.mark.parametrize("lists", [True, False])
async def test_link_expires_midway(lists: bool, tmp_path: Path) -> None:
    """A link that dies midway is renewed, and what has arrived is not fetched again."""
    blobs = small(60)
    renewals: list[str] = []
    server = TileServer(blobs, lists=lists, reads_before_expiry=30)
    async with server.serve():
        await fetch(server, tmp_path / "staging", Options(link=renewing(server, renewals)))
    assert files_in(tmp_path / "staging") == blobs
    assert set(server.delivered.values()) == {1}
    assert len(renewals) == (2 if lists else 3)  # a refused listing looks like a dead link at first


async def test_renewed_before_expiry() -> None:
    """A link that is running out is exchanged before the host refuses it; one with time left is kept."""
    links = iter(["https://host/c?se=2020-01-01T00%3A00Z", "https://host/c?se=2099-01-01&sig=fresh"])

    async def fetch_link() -> SignedUrl:
        await asyncio.sleep(0)
        return SignedUrl(next(links))

    link = RenewableLink(fetch_link, margin=0.0)
    await link.current()
    assert (await link.current()).parameter("sig") == "fresh"
    assert (await link.current()).parameter("sig") == "fresh"


async def test_dead_link(tmp_path: Path) -> None:
    """A link that is dead for good is an error that hides its signature."""
    async with TileServer(small(), signatures=set()).serve() as server:
        with pytest.raises(LinkExpiredError) as caught:
            await fetch(server, tmp_path / "staging")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("honours_if_match", [True, False])
async def test_replaced_midway(honours_if_match: bool, tmp_path: Path) -> None:
    """A tileset that is replaced midway arrives in its new version, unmixed, even if If-Match is ignored."""
    old, new = small(40), {name: content[:-1] + b"\n" for name, content in small(40).items()}
    server = TileServer(old, changes_after=20, next_blobs=new, has_md5=False, honours_if_match=honours_if_match)
    async with server.serve():
        await fetch(server, tmp_path / "staging")
    assert files_in(tmp_path / "staging") == new


async def test_replaced_all_the_time(tmp_path: Path) -> None:
    """A tileset that is never the one that was listed ends in an interruption."""
    async with TileServer(small(), never_settles=True).serve() as server:
        with pytest.raises(InterruptedTransferError, match="was replaced"):
            await fetch(server, tmp_path / "staging")
    assert server.pages == 3


async def test_hole(tmp_path: Path) -> None:
    """A file that is referred to and not there is named when references are all there is to go by."""
    blobs = small()
    hole = min(blobs)
    del blobs[hole]
    async with TileServer(blobs, lists=False).serve() as server:
        with pytest.raises(ContentError, match=hole):
            await fetch(server, tmp_path / "staging")


def publish(folder: Path, blobs: dict[str, bytes]) -> None:
    write_manifest(folder, written(folder, blobs))


async def test_unchanged_tiles(tmp_path: Path) -> None:
    """Tiles the export before already has are linked; changed and tampered ones are fetched."""
    old = small()
    publish(tmp_path / "published", old)
    names = sorted(name for name in old if name.endswith("glb"))
    new = old | {names[0]: glb(9)}
    (tmp_path / "published" / names[1]).write_bytes(b"tampered")
    async with TileServer(new).serve() as server:
        fetched = await fetch(server, tmp_path / "staging", Options(previous=tmp_path / "published"))
    assert files_in(tmp_path / "staging") == new
    assert sorted(server.delivered) == names[:2]
    assert fetched.reused == len(new) - 2
    assert (tmp_path / "staging" / names[2]).samefile(tmp_path / "published" / names[2])


async def test_rotten_tile_is_not_taken_over(tmp_path: Path) -> None:
    """A published tile that changed on the disk, with size and time kept, is fetched and not taken over."""
    blobs = small()
    publish(tmp_path / "published", blobs)
    rotten = tmp_path / "published" / sorted(blobs)[1]
    times = rotten.stat().st_atime_ns, rotten.stat().st_mtime_ns
    rotten.write_bytes(bytes(rotten.stat().st_size))
    os.utime(rotten, ns=times)
    async with TileServer(blobs).serve() as server:
        fetched = await fetch(server, tmp_path / "staging", Options(previous=tmp_path / "published"))
    assert files_in(tmp_path / "staging") == blobs
    assert server.delivered == {sorted(blobs)[1]: 1}
    assert {one.name: one.md5 for one in fetched.tiles} == {
        name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in blobs.items()
    }


@pytest.mark.parametrize("lists", [True, False])
async def test_unchanged_without_md5(lists: bool, tmp_path: Path) -> None:
    """Where no MD5 is listed, a fetched tile that is the published one again becomes a link to that."""
    old = small()
    publish(tmp_path / "published", old)
    changed, rotten, *same = sorted(name for name in old if name.endswith("glb"))
    new = old | {changed: glb(9)}
    state = (tmp_path / "published" / rotten).stat()
    (tmp_path / "published" / rotten).write_bytes(bytes(state.st_size))
    os.utime(tmp_path / "published" / rotten, ns=(state.st_atime_ns, state.st_mtime_ns))
    async with TileServer(new, lists=lists, has_md5=False).serve() as server:
        await fetch(server, tmp_path / "staging", Options(previous=tmp_path / "published"))
    assert files_in(tmp_path / "staging") == new
    linked = [name for name in new if (tmp_path / "staging" / name).samefile(tmp_path / "published" / name)]
    assert sorted(linked) == sorted([*same, "tileset.json"])


async def test_linked_tile_is_never_written_to(tmp_path: Path) -> None:
    """Fetching over a linked tile leaves the published one as it was."""
    old = small()
    publish(tmp_path / "published", old)
    async with TileServer(old).serve() as server:
        await fetch(server, tmp_path / "staging", Options(previous=tmp_path / "published"))
        server.blobs = {name: content + b"!" for name, content in old.items()}
        await fetch(server, tmp_path / "staging")
    published = files_in(tmp_path / "published")
    assert {name: published[name] for name in old} == old


async def test_cancel(tmp_path: Path) -> None:
    """A cancelled fetch stops, keeps what it has, and writes no link into its journal."""
    blobs = small(400)
    async with TileServer(blobs).serve() as server:
        attempt = asyncio.create_task(fetch(server, tmp_path / "staging"))
        while server.requested.total() < 40:  # noqa: ASYNC110  the server counts, nothing is signalled
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        note = checkpoint_path(tmp_path / "staging").read_text()
        server.delivered.clear()
        await fetch(server, tmp_path / "staging")
    assert 0 < server.delivered.total() < len(blobs)
    assert "sig" not in note
    assert "127.0.0.1" not in note
    assert files_in(tmp_path / "staging") == blobs


async def test_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither error nor log shows the signature."""
    caplog.set_level(logging.DEBUG)
    blobs = small()
    faults = {name: ["truncated"] * 9 for name in blobs}
    async with TileServer(blobs, faults=faults).serve() as server:
        with pytest.raises(InterruptedTransferError) as caught:
            await fetch(server, tmp_path / "staging")
    assert "secret" not in f"{caught.value!r} {caplog.text}"
