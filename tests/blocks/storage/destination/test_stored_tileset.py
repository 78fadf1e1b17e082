"""A tileset in an object store: generations that never change, and a small root that refers to one of them."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from blocks.storage.content.models import CONTENT_NAME
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_tileset import GRACE, StoredTileset
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest, ManifestFile
from tests.blocks.storage.tileset.tilesets import small, written
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore

KEY = "imodel/mesh"


def publish(store: ObjectStore, folder: Path, run: str, *, count: int = 6, grace: timedelta = GRACE) -> Manifest:
    """Publish a tileset of so many tiles from one machine."""
    staging = folder / f"mesh-{run}"
    staging.mkdir(parents=True, exist_ok=True)
    manifest = written(staging, small(count))
    report = f'{{"run": "{run}"}}'.encode()
    (staging / CONTENT_NAME).write_bytes(report)
    about = ManifestFile(CONTENT_NAME, "content", len(report), "0" * 64)
    manifest = manifest.model_copy(update={"run_id": run, "files": (*manifest.files, about)})
    return StoredTileset(store, KEY, folder / "copies", grace).publish(staging, manifest, keep=0, lock=folder)


def load_as_viewer(store: ObjectStore) -> set[str]:
    """What a viewer loads that starts at `tileset.json`: every tile of one generation."""
    root = store.read(f"{KEY}/tileset.json", 10_000)
    assert root
    uri = json.loads(root.content)["root"]["content"]["uri"]
    listed = store.entries(f"{KEY}/{uri.partition('/')[0]}")
    assert f"{KEY}/{uri}" in listed
    return set(listed)


def test_a_viewer_goes_on_with_the_tiles_it_began_with(destination: StoreUnderTest, tmp_path: Path) -> None:
    """After the next tileset the root leads to the new generation, and every tile of the old one is still there."""
    store = destination.open()
    publish(store, tmp_path, "1")
    before = load_as_viewer(store)
    published = publish(store, tmp_path, "2", count=7)
    after = load_as_viewer(store)
    assert before.isdisjoint(after)
    assert before <= store.entries(KEY).keys()
    StoredTileset(store, KEY, tmp_path).verify(KeptExport(tmp_path, published))


def test_unchanged_tiles_are_copied_inside_the_store(s3_store: XmlStore, tmp_path: Path) -> None:
    """The second tileset uploads the tile that is new, and copies the others."""
    store = of_xml_store(s3_store).open()
    publish(store, tmp_path, "1", count=6)
    s3_store.copies.clear()
    publish(store, tmp_path, "2", count=7)
    assert len(s3_store.copies) == 6


def test_old_generations_go_after_a_time_of_grace(destination: StoreUnderTest, tmp_path: Path) -> None:
    """A generation that nothing refers to is deleted with its note; what strangers put there stays."""
    store = destination.open()
    publish(store, tmp_path, "1")
    old = load_as_viewer(store)
    folder = min(old).split("/")[2]
    store.write(f"{KEY}/{folder}/notes.txt", b"a stranger's")
    store.write(f"{KEY}/20200101T000000Z-not-ours/tileset.json", b"{}")
    publish(store, tmp_path, "2", grace=timedelta(seconds=-5))
    left = store.entries(KEY).keys()
    assert old.isdisjoint(left)
    assert {f"{KEY}/{folder}/notes.txt", f"{KEY}/20200101T000000Z-not-ours/tileset.json"} <= left
    assert load_as_viewer(store)
    assert len(store.entries("imodel/.itwin-export/generations")) == 1


def test_the_time_of_grace_begins_when_another_takes_the_place(s3_store: XmlStore, tmp_path: Path) -> None:
    """A generation that was published a month ago stays for a day once it is replaced, and goes after that day."""
    store = of_xml_store(s3_store).open()
    for run in "12":
        publish(store, tmp_path, run)
        s3_store.age(timedelta(days=30))
    old = load_as_viewer(store)
    publish(store, tmp_path, "3")
    assert old <= store.entries(KEY).keys()
    s3_store.age(timedelta(days=2))
    publish(store, tmp_path, "4")
    assert old.isdisjoint(store.entries(KEY))


def test_an_interrupted_publication_shows_nothing(s3_store: XmlStore, tmp_path: Path) -> None:
    """A process that dies among its tiles leaves the published tileset as it is, and its own tiles for removal."""
    store = of_xml_store(s3_store).open()
    published = publish(store, tmp_path, "1")
    before = load_as_viewer(store)
    s3_store.fault = lambda method, key: Answer(403) if method == "PUT" and key.endswith(".glb") else None
    with pytest.raises(ConfigurationError):
        publish(store, tmp_path, "2", count=9)
    s3_store.fault = None
    assert load_as_viewer(store) == before
    StoredTileset(store, KEY, tmp_path).verify(KeptExport(tmp_path, published))
    publish(store, tmp_path, "3", grace=timedelta(seconds=-5))
    assert len({key.split("/")[2] for key in store.entries(KEY)} - {"manifest.json", "tileset.json", CONTENT_NAME}) == 1


@pytest.mark.parametrize("runs", [1, 3])
def test_many_writers_leave_one_whole_tileset(runs: int, s3_store: XmlStore, tmp_path: Path) -> None:
    """Six processes that publish at once leave a root and a manifest that belong together."""
    store = of_xml_store(s3_store).open()

    def work(number: int) -> Manifest:
        return publish(store, tmp_path / str(number), str(number % runs), count=3 + number % runs)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    export = StoredTileset(store, KEY, tmp_path)
    manifest = export.see().manifest
    assert manifest
    export.verify(KeptExport(tmp_path, manifest))
    assert {key.split("/")[2] for key in load_as_viewer(store)} == {manifest.generation}


def test_a_listing_that_is_late_is_waited_for(s3_store: XmlStore, tmp_path: Path) -> None:
    """A store that lists an object a moment after it was written gets each tile once, and the tileset is whole."""
    s3_store.listing_lag = timedelta(seconds=0.4)
    store = of_xml_store(s3_store).open()
    published = publish(store, tmp_path, "1")
    s3_store.listing_lag = timedelta()
    assert len([key for key in s3_store.written if key.endswith(".glb")]) == 6
    StoredTileset(store, KEY, tmp_path).verify(KeptExport(tmp_path, published))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(400, "ExpiredToken"), "have expired"),
        (Answer(403, "AuthenticationFailed"), "A SAS may have expired"),
        (Answer(404, "NoSuchBucket"), "does not exist"),
    ],
)
def test_what_ends_in_mid_upload_shows_nothing(answer: Answer, says: str, s3_store: XmlStore, tmp_path: Path) -> None:
    """Credentials that expire or a bucket that vanishes among the tiles: readers keep the tileset before, whole."""
    store = of_xml_store(s3_store).open()
    published = publish(store, tmp_path, "1")
    before, numbers = load_as_viewer(store), count()
    s3_store.fault = lambda method, _key: answer if method == "PUT" and next(numbers) > 4 else None
    with pytest.raises(ConfigurationError, match=says):
        publish(store, tmp_path, "2", count=9)
    s3_store.fault = None
    assert load_as_viewer(store) == before
    StoredTileset(store, KEY, tmp_path).verify(KeptExport(tmp_path, published))
    assert publish(store, tmp_path, "2", count=9).generation != published.generation
