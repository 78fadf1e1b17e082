"""Tiles on their way into an object store while others are fetched, and tiles that the store copies by itself."""

import asyncio
import dataclasses
import gzip
import logging
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import generate_container_sas

from blocks.signed_url import SignedUrl
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.renewable_link import fixed_link
from blocks.storage.retry import RetryPolicy
from blocks.storage.tileset.download import FetchedTileset, fetch_tileset
from blocks.storage.tileset.verify import verify_tileset
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from tests.blocks.storage.tileset.tile_server import TileServer
from tests.blocks.storage.tileset.tilesets import glb, manifest_of, tile, tileset
from tests.object_stores.destinations import StoreUnderTest, of_azurite, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore
from tests.processes.relay import Relay, running_relay

KEY = "imodel/mesh"
TILES = 40
NAMES = [f"tiles/{number}.glb" for number in range(TILES)]
QUICK = RetryPolicy(attempts=3, first_pause=0.01)


def blobs(size: int) -> dict[str, bytes]:
    """A tileset whose tiles have about so many bytes."""
    root = tileset(tile(None, *(tile(name) for name in NAMES)))
    return {"tileset.json": root, **{name: glb(size + number) for number, name in enumerate(NAMES)}}


@dataclasses.dataclass(frozen=True)
class Azure:
    """A stand-in for Azure that is reached through a relay, with a container of tiles and one for exports."""

    sandbox: RunningSandbox
    relay: Relay

    @property
    def url(self) -> str:
        """Of the relay."""
        return f"http://127.0.0.1:{self.relay.port}"

    @property
    def link(self) -> str:
        """A link to the tiles."""
        return self.url + self.sandbox.state.blobs.signed_path("tiles", permissions="rl")

    def destination(self) -> StoreUnderTest:
        """The container for exports, opened with the key of the account."""
        access = StoreAccess(connection_string=self.sandbox.state.blobs.connection_string(self.url))
        return StoreUnderTest("az://exports/a", access)

    def listed(self) -> int:
        """Number of listings of the destination that include its tiles."""
        listings = [parse_qs(entry.query) for entry in self.sandbox.state.log if "/exports" in entry.path]
        prefixes = [
            query["prefix"][0] for query in listings if "list" in query.get("comp", []) and "delimiter" not in query
        ]
        return sum("/mesh/" in prefix for prefix in prefixes)

    def fetched(self) -> set[str]:
        """Names of the tiles that were read over the network."""
        read = [entry.path for entry in self.sandbox.state.log if entry.method == "GET" and "/tiles/" in entry.path]
        return {path.partition("/tiles/")[2] for path in read}


@pytest.fixture
def azure() -> Generator[Azure]:
    """A stand-in for Azure with a tileset of 16 MB."""
    with running_sandbox() as sandbox, running_relay(urlsplit(sandbox.url).port or 0) as relay:
        sandbox.state.blobs.create_container("exports")
        for name, content in blobs(400_000).items():
            sandbox.state.blobs.put("tiles", name, content)
        yield Azure(sandbox, relay)


async def publish(
    store: ObjectStore, link: str, folder: Path, *, copies_unread: bool = True
) -> tuple[Manifest, FetchedTileset]:
    """Fetch and publish a tileset as a flow does."""
    place = StoredTileset(store, KEY, folder / "copies")
    with closing(place.new_upload(copies_unread=copies_unread)) as upload:
        fetched = await fetch_tileset(fixed_link(SignedUrl(link)), folder / "mesh", early=upload, retry_policy=QUICK)
        verify_tileset(fetched.folder, fetched.sizes, fetched.elsewhere)
        files = tuple(
            ManifestFile(
                one.name, "tileset" if one.name == "tileset.json" else "tile", one.size, one.sha256, md5=one.md5
            )
            for one in fetched.tiles
        )
        manifest = manifest_of(files)
        published = await asyncio.to_thread(
            dataclasses.replace(place, upload=upload).publish, folder / "mesh", manifest, keep=0, lock=folder
        )
    return published, fetched


def check(store: ObjectStore, manifest: Manifest, content: dict[str, bytes]) -> None:
    """What is published is the tileset, byte for byte."""
    StoredTileset(store, KEY, Path()).verify(KeptExport(Path(), manifest), full=True)
    for name, expected in content.items():
        opened = store.open(f"{KEY}/{manifest.generation}/{name}")
        assert opened
        assert b"".join(opened.pieces) == expected


async def test_tiles_do_not_pass_through_this_machine(azure: Azure, tmp_path: Path) -> None:
    """From one container of Azure to another, less than 1 % of the bytes come here, and one listing verifies all."""
    store = azure.destination().open()
    manifest, fetched = await publish(store, azure.link, tmp_path)
    assert azure.relay.passed < 0.01 * fetched.total_bytes
    assert azure.fetched() == {"tileset.json"}
    assert azure.listed() == 1
    assert not list(tmp_path.rglob("*.glb"))
    check(store, manifest, blobs(400_000))
    opened = store.open(f"{KEY}/{manifest.generation}/{NAMES[0]}")
    assert opened
    assert opened.content_type == "model/gltf-binary"


async def test_a_tile_that_the_store_refuses_is_fetched(azure: Azure, tmp_path: Path) -> None:
    """A store that is busy, or a source that has changed, costs the tiles it is about and no others."""
    faults = azure.sandbox.state.faults
    faults.add(Fault(method="PUT", path="/exports/.*/tiles/1.glb", status=503, count=1))
    faults.add(Fault(method="PUT", path="/exports/.*/tiles/2.glb", status=412, count=1))
    store = azure.destination().open()
    manifest, _ = await publish(store, azure.link, tmp_path)
    assert azure.fetched() == {"tileset.json", "tiles/1.glb", "tiles/2.glb"}
    check(store, manifest, blobs(400_000))


async def test_a_store_that_cannot_reach_the_source_is_not_asked_again(
    azure: Azure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One refusal that is about the request and not about one tile is enough, is said once, and names no signature."""
    caplog.set_level(logging.DEBUG)
    refusal = Fault(method="PUT", path="/exports/.*glb", status=403, code="CannotVerifyCopySource", count=5)
    azure.sandbox.state.faults.add(refusal)
    store = azure.destination().open()
    manifest, _ = await publish(store, azure.link, tmp_path)
    said = [record.getMessage() for record in caplog.records if "does not copy tiles" in record.getMessage()]
    assert len(said) == 1
    assert len(azure.fetched()) > TILES / 2
    assert "sig=" not in caplog.text.replace("sig=REDACTED", "")
    check(store, manifest, blobs(400_000))


async def test_azurite_has_no_such_request(
    azurite: RunningAzurite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With an emulator that does not know the request every tile is fetched and uploaded, and that is said once."""
    caplog.set_level(logging.INFO)
    content, store = blobs(100), of_azurite(azurite).open()
    async with TileServer(content).serve() as server:
        manifest, _ = await publish(store, server.link(), tmp_path)
    assert caplog.text.count("does not copy tiles by itself (it answers 500)") == 1
    check(store, manifest, content)


async def test_a_sas_of_the_destination_is_enough(azure: Azure, tmp_path: Path) -> None:
    """A destination that is opened with a SAS can have its tiles copied as well, with any characters in its prefix."""
    blobs_of_account = azure.sandbox.state.blobs
    expiry = azure.sandbox.state.clock.now() + timedelta(hours=1)
    account, key = blobs_of_account.account, blobs_of_account.key
    sas = generate_container_sas(account, "exports", account_key=key, permission="rwdlc", expiry=expiry)
    access = StoreAccess(connection_string=f"BlobEndpoint={azure.url}/{account};SharedAccessSignature={sas}")
    store = StoreUnderTest("az://exports/a b", access).open()
    manifest, _ = await publish(store, azure.link, tmp_path)
    assert azure.fetched() == {"tileset.json"}
    check(store, manifest, blobs(400_000))


async def test_a_clock_that_is_wrong_costs_the_copies_only(azure: Azure, tmp_path: Path) -> None:
    """A machine whose clock is an hour ahead signs links that begin later than now: the tiles are fetched."""
    azure.sandbox.state.clock.advance(-3600)
    store = azure.destination().open()
    manifest, _ = await publish(store, azure.link, tmp_path)
    assert len(azure.fetched()) == TILES + 1
    check(store, manifest, blobs(400_000))


async def test_a_key_that_cannot_be_signed_is_uploaded(azure: Azure, tmp_path: Path) -> None:
    """If the prefix contains a space, Azure rejects the signed link, and the tiles are fetched and uploaded instead."""
    destination = dataclasses.replace(azure.destination(), url="az://exports/a b")
    manifest, _ = await publish(destination.open(), azure.link, tmp_path)
    assert len(azure.fetched()) == TILES + 1
    check(destination.open(), manifest, blobs(400_000))


async def test_encoded_tiles_are_fetched(azure: Azure, tmp_path: Path) -> None:
    """A tile that is stored with a Content-Encoding is decoded here, for its headers would not go with the copy."""
    content = blobs(100)
    blob = azure.sandbox.state.blobs.put("tiles", NAMES[3], gzip.compress(content[NAMES[3]]))
    blob.headers["Content-Encoding"] = "gzip"
    store = azure.destination().open()
    manifest, _ = await publish(store, azure.link, tmp_path)
    assert azure.fetched() == {"tileset.json", "tiles/3.glb"}
    check(store, manifest, {NAMES[3]: content[NAMES[3]]})


async def test_unchanged_tiles_are_not_fetched_again(s3_store: XmlStore, tmp_path: Path) -> None:
    """Tiles whose MD5 is that of the published ones are copied inside the store; they are neither fetched nor sent."""
    store, content = of_xml_store(s3_store).open(), blobs(100)
    async with TileServer(content).serve() as server:
        await publish(store, server.link(), tmp_path / "1", copies_unread=False)
        server.blobs = content | {NAMES[7]: glb(9_999)}
        server.requested.clear()
        manifest, _ = await publish(store, server.link(), tmp_path / "2")
        assert set(server.requested) & set(NAMES) == {NAMES[7]}
    assert all(file.digest[1] for file in manifest.files)
    check(store, manifest, server.blobs)


async def test_tiles_are_uploaded_while_others_are_fetched(s3_store: XmlStore, tmp_path: Path) -> None:
    """The first tiles lie in the store before the last ones are here; readers see nothing of them yet."""
    store, content = of_xml_store(s3_store).open(), blobs(100)
    server = TileServer(content)
    uploaded_at_last = list[int]()

    def note(done: int, known: int) -> None:
        if done < known:
            uploaded_at_last.append(sum(key.endswith(".glb") for key in s3_store.objects))

    async with server.serve():
        server.delay = 0.05
        place = StoredTileset(store, KEY, tmp_path / "copies")
        with closing(place.new_upload()) as upload:
            await fetch_tileset(
                fixed_link(SignedUrl(server.link())), tmp_path / "mesh", early=upload, on_progress=note, workers=4
            )
    assert uploaded_at_last[-1] > 0
    assert place.see().manifest is None


async def test_an_early_upload_that_fails_is_made_good(s3_store: XmlStore, tmp_path: Path) -> None:
    """A tile that the store refused while others were fetched is uploaded before the tileset is published."""
    store, content = of_xml_store(s3_store).open(), blobs(100)
    refused = list[str]()

    def refuse(method: str, key: str) -> Answer | None:
        if method == "PUT" and key.endswith(".glb") and len(refused) < 3:
            refused.append(key)
            return Answer(403, "AccessDenied")
        return None

    s3_store.fault = refuse
    async with TileServer(content).serve() as server:
        manifest, _ = await publish(store, server.link(), tmp_path, copies_unread=False)
    assert len(refused) == 3
    check(store, manifest, content)


async def test_a_tileset_that_changes_midway_is_published_whole(s3_store: XmlStore, tmp_path: Path) -> None:
    """Tiles of another version that were uploaded already are replaced."""
    store, content = of_xml_store(s3_store).open(), blobs(100)
    later = {name: glb(500 + number) for number, name in enumerate(NAMES)} | {"tileset.json": content["tileset.json"]}
    server = TileServer(content, changes_after=20, next_blobs=later)
    async with server.serve():
        manifest, _ = await publish(store, server.link(), tmp_path, copies_unread=False)
    check(store, manifest, later)
