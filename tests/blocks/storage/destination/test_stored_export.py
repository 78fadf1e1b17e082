"""An export in an object store: published whole, proven by one listing, and by one of two writers at a time."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError, ContentError
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest, ManifestFile
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore

KEY = "imodel/ifc"


def staged(folder: Path, run: str, **contents: str) -> tuple[Path, Manifest]:
    """Files of a run in a staging folder of their own, and their manifest."""
    staging = folder / f"staging-{run}"
    staging.mkdir(parents=True, exist_ok=True)
    files = list[ManifestFile]()
    for stem, content in contents.items():
        name = f"{stem}.ifc"
        (staging / name).write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        files.append(ManifestFile(path=name, role="model", size=len(content), sha256=digest))
    manifest = Manifest(
        api_url="https://api.example",
        imodel_id="imodel",
        changeset_id=run,
        format="ifc",
        tool_version="1",
        run_id=run,
        files=tuple(files),
        created_at=datetime.now(UTC),
    )
    return staging, manifest


def publish(store: ObjectStore, folder: Path, run: str, *, keep: int = 0, **contents: str) -> Manifest:
    """Publish the files of a run from one machine."""
    staging, manifest = staged(folder, run, **contents)
    export = StoredExport(store, KEY, folder / "copies")
    return export.publish(staging, manifest, keep=keep, lock=folder / "lock")


def read_as_reader(store: ObjectStore) -> dict[str, str]:
    """What a reader gets who starts at the manifest and finds every file as it says."""
    export = StoredExport(store, KEY, Path())
    manifest = export.see().manifest
    assert manifest
    for file in manifest.files:
        assert store.sha256_of(f"{KEY}/{file.path}") == file.sha256
    export.verify(KeptExport(Path(), manifest))
    return {file.path: file.sha256 for file in manifest.files}


def test_an_export_is_published_and_replaced(destination: StoreUnderTest, tmp_path: Path) -> None:
    """The manifest lists all files; replacing deletes those that only the export before had, and keeps others'."""
    store = destination.open()
    publish(store, tmp_path, "1", model="one", extra="more")
    store.write(f"{KEY}/notes.txt", b"a stranger's")
    published = publish(store, tmp_path, "2", model="two")
    assert list(read_as_reader(store)) == ["model.ifc"]
    assert sorted(store.entries(KEY)) == [f"{KEY}/{name}" for name in ("manifest.json", "model.ifc", "notes.txt")]
    assert StoredExport(store, KEY, tmp_path / "other").read_manifest() == published


def test_what_was_replaced_by_others_is_not_deleted(destination: StoreUnderTest, tmp_path: Path) -> None:
    """A file of the export before that somebody else has replaced since stays, although it is listed no more."""
    store = destination.open()
    publish(store, tmp_path, "1", model="one", extra="more")
    store.write(f"{KEY}/extra.ifc", b"somebody's work")
    publish(store, tmp_path, "2", model="two")
    assert f"{KEY}/extra.ifc" in store.entries(KEY)


@pytest.mark.parametrize("damage", ["replaced", "same size", "missing"])
def test_a_damaged_export_is_found_by_one_listing(destination: StoreUnderTest, tmp_path: Path, damage: str) -> None:
    """An object that is missing or was written since, also with the same size, is not what was published."""
    store = destination.open()
    manifest = publish(store, tmp_path, "1", model="one")
    export = StoredExport(store, KEY, tmp_path)
    export.verify(KeptExport(tmp_path, manifest), full=True)
    if damage == "missing":
        store.delete([f"{KEY}/model.ifc"])
    else:
        store.write(f"{KEY}/model.ifc", b"two" if damage == "same size" else b"three")
    with pytest.raises(ContentError, match=r"model\.ifc is"):
        export.verify(KeptExport(tmp_path, manifest))


def test_the_second_writer_looks_again(s3_store: XmlStore, tmp_path: Path) -> None:
    """Somebody publishes between our look and our manifest: ours is refused, looks again and replaces theirs whole."""
    store, state = of_xml_store(s3_store).open(), {"is_disturbed": False}

    def disturb(method: str, key: str) -> Answer | None:
        if (method, state["is_disturbed"]) == ("PUT", False) and key.endswith("manifest.json"):
            state["is_disturbed"] = True
            publish(store, tmp_path / "theirs", "2", model="theirs")
        return None

    s3_store.fault = disturb
    published = publish(store, tmp_path / "ours", "1", model="ours")
    assert state["is_disturbed"]
    assert read_as_reader(store) == {"model.ifc": published.files[0].sha256}
    assert published.run_id == "1"
    manifests = [key for key in s3_store.written if key.endswith("manifest.json")]
    assert len(manifests) == 2, "ours was written over theirs without a new look"


def test_the_same_export_is_published_once(s3_store: XmlStore, tmp_path: Path) -> None:
    """Whoever finds the very same files of the same run published leaves them as they are."""
    store = of_xml_store(s3_store).open()
    first = publish(store, tmp_path / "one", "1", model="same")
    asked = len(s3_store.requests)
    assert publish(store, tmp_path / "other", "1", model="same") == first
    assert {method for method, _ in s3_store.requests[asked:]} == {"GET"}


@pytest.mark.parametrize("runs", [1, 3])
def test_many_writers_leave_one_whole_export(runs: int, s3_store: XmlStore, tmp_path: Path) -> None:
    """Eight processes that publish at once, each with folders of its own, leave one export whole."""
    store = of_xml_store(s3_store).open()

    def work(number: int) -> Manifest:
        run = str(number % runs)
        return publish(store, tmp_path / str(number), run, model=f"content of {run}", log="x")

    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(work, range(8)))
    assert set(read_as_reader(store).values()) <= {file.sha256 for one in published for file in one.files}


def test_an_interrupted_publication_is_made_up_for(s3_store: XmlStore, tmp_path: Path) -> None:
    """A process that dies before its manifest leaves files that are found to be damaged, and published anew."""
    store = of_xml_store(s3_store).open()
    before = publish(store, tmp_path / "one", "1", model="one")
    s3_store.fault = lambda method, key: Answer(403) if method == "PUT" and "manifest" in key else None
    with pytest.raises(Exception, match="does not permit"):
        publish(store, tmp_path / "two", "2", model="two")
    s3_store.fault = None
    with pytest.raises(ContentError):
        StoredExport(store, KEY, tmp_path).verify(KeptExport(tmp_path, before))
    publish(store, tmp_path / "three", "2", model="two")
    read_as_reader(store)


def test_earlier_exports_are_kept_whole(destination: StoreUnderTest, tmp_path: Path) -> None:
    """With keep=2 the two exports before the current one lie in the history, each whole; older ones are deleted.

    What others put into a folder of the history stays.
    """
    store, export = destination.open(), StoredExport(destination.open(), KEY, tmp_path / "copies")
    publish(store, tmp_path, "1", model="one")
    publish(store, tmp_path, "2", model="two", keep=2)
    (label,) = store.folders(f"{KEY}/history")
    store.write(f"{label}/notes.txt", b"a stranger's")
    publish(store, tmp_path, "3", model="three", keep=2)
    publish(store, tmp_path, "4", model="four", keep=2)
    kept = export.read_history()
    assert [one.manifest.run_id for one in kept] == ["3", "2"]
    for one in kept:
        export.verify(one, full=True)
    assert [key for key in store.entries(label) if "(" not in key] == [f"{label}/notes.txt"]
    read_as_reader(store)


def test_an_interrupted_copy_is_made_again(s3_store: XmlStore, tmp_path: Path) -> None:
    """A process that dies before the manifest of its copy leaves no export in the history; the next one makes it."""
    store = of_xml_store(s3_store).open()
    export = StoredExport(store, KEY, tmp_path / "copies")
    before = publish(store, tmp_path, "1", model="one", log="x")
    s3_store.fault = lambda method, key: Answer(403) if method == "PUT" and "history" in key and "json" in key else None
    with pytest.raises(ConfigurationError):
        publish(store, tmp_path, "2", model="two", keep=1)
    s3_store.fault = None
    assert export.read_history() == []
    export.verify(KeptExport(tmp_path, before))
    publish(store, tmp_path, "2", model="two", keep=1)
    assert [one.manifest.run_id for one in export.read_history()] == ["1"]
    assert len(store.folders(f"{KEY}/history")) == 1
