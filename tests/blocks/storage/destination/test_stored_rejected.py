"""Exports in an object store that acceptance rules rejected, and verdicts on those that are published."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError, ContentError
from blocks.storage.destination.new_verdict import replace_verdict
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.history import KeptExport
from blocks.storage.rejected import MOST_REJECTED
from tests.blocks.storage.destination.test_stored_export import KEY, publish, read_as_reader, staged
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore


def reject(store: ObjectStore, folder: Path, run: str, **contents: str) -> KeptExport:
    """Put the files of a run aside, from one machine."""
    staging, manifest = staged(folder, run, **contents)
    rejected = manifest.model_copy(update={"verdict": "rejected"})
    return StoredExport(store, KEY, folder / "copies").put_aside(staging, rejected, lock=folder / "lock")


def rejected_runs(store: ObjectStore) -> list[str]:
    """Runs of the rejected exports, the newest first, each of them whole."""
    export = StoredExport(store, KEY, Path())
    found = export.read_rejected()
    for kept in found:
        export.verify(kept, full=True)
    return [str(kept.manifest.run_id) for kept in found]


def refusing(suffix: str) -> Callable[[str, str], Answer | None]:
    """A store that refuses to write objects whose key ends so."""
    return lambda method, key: Answer(403, "AccessDenied") if method == "PUT" and key.endswith(suffix) else None


def test_readers_see_no_difference(destination: StoreUnderTest, tmp_path: Path) -> None:
    """However many exports are put aside, the newest three are there, and the published one is as it was."""
    store = destination.open()
    publish(store, tmp_path, "1", model="published")
    before = read_as_reader(store)
    for run in map(str, range(2, 3 + MOST_REJECTED)):
        reject(store, tmp_path, run, model=f"rejected {run}")
    assert rejected_runs(store) == ["5", "4", "3"]
    assert read_as_reader(store) == before
    kept = {key.split("/")[3] for key in store.entries(f"{KEY}/rejected")}
    assert len(kept) == MOST_REJECTED
    publish(store, tmp_path, "9", model="the next")
    assert rejected_runs(store) == ["5", "4", "3"]


def test_the_same_is_put_aside_once(destination: StoreUnderTest, tmp_path: Path) -> None:
    """Repeated after a crash, it is there once; others of the same day and changeset lie beside it."""
    store = destination.open()
    for run in ("a", "a"):
        staging, manifest = staged(tmp_path, run, model="rejected")
        same = manifest.model_copy(update={"changeset_index": 7})
        StoredExport(store, KEY, tmp_path / "copies").put_aside(staging, same, lock=tmp_path)
    staging, manifest = staged(tmp_path, "b", model="another")
    other = manifest.model_copy(update={"changeset_index": 7})
    kept = StoredExport(store, KEY, tmp_path / "copies").put_aside(staging, other, lock=tmp_path)
    assert kept.folder.name.startswith("0007 20")
    assert rejected_runs(store) == ["b", "a"]


def test_machines_that_put_aside_at_once_lose_nothing(s3_store: XmlStore, tmp_path: Path) -> None:
    """Three exports of the same day and changeset, put aside at once, are all there and whole."""
    store = of_xml_store(s3_store).open()

    def put_aside(run: str) -> None:
        staging, manifest = staged(tmp_path / run, run, model=f"run {run}")
        same_day = manifest.model_copy(update={"changeset_index": 7})
        StoredExport(store, KEY, tmp_path / run / "copies").put_aside(staging, same_day, lock=tmp_path)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(put_aside, "abc"))
    assert sorted(rejected_runs(store)) == ["a", "b", "c"]


def test_an_interrupted_one_is_none(s3_store: XmlStore, tmp_path: Path) -> None:
    """Without its manifest an export is not among the rejected ones; the same again makes it whole."""
    store = of_xml_store(s3_store).open()
    s3_store.fault = refusing("manifest.json")
    with pytest.raises(ConfigurationError, match="does not permit"):
        reject(store, tmp_path, "1", model="rejected")
    s3_store.fault = None
    assert rejected_runs(store) == []
    reject(store, tmp_path, "1", model="rejected")
    assert rejected_runs(store) == ["1"]


def test_its_files_can_be_had_and_it_can_be_removed(destination: StoreUnderTest, tmp_path: Path) -> None:
    """Another machine gets the very files; once removed, only what others put there is left."""
    store = destination.open()
    kept = reject(store, tmp_path, "1", model="rejected")
    other = StoredExport(store, KEY, tmp_path / "other")
    (found,) = other.read_rejected()
    other.at(found.folder).fetch(found.manifest.files)
    assert (found.folder / "model.ifc").read_text() == "rejected"
    label = kept.folder.name
    store.write(f"{KEY}/rejected/{label}/strange.txt", b"a stranger's")
    other.remove(found)
    assert list(store.entries(f"{KEY}/rejected")) == [f"{KEY}/rejected/{label}/strange.txt"]
    assert not found.folder.exists()


def test_what_is_fetched_is_what_was_exported(s3_store: XmlStore, tmp_path: Path) -> None:
    """An object that was overwritten is not taken for the file."""
    store = of_xml_store(s3_store).open()
    kept = reject(store, tmp_path, "1", model="rejected")
    store.write(f"{KEY}/rejected/{kept.folder.name}/model.ifc", b"REJECTED")
    other = StoredExport(store, KEY, tmp_path / "other")
    (found,) = other.read_rejected()
    with pytest.raises(ContentError, match="is not the file that was exported"):
        other.at(found.folder).fetch(found.manifest.files)


def test_a_new_verdict_replaces_the_reports(destination: StoreUnderTest, tmp_path: Path) -> None:
    """The manifest has the verdict and lists the new reports; earlier ones are gone, and the export is whole."""
    store = destination.open()
    publish(store, tmp_path, "1", model="published")
    export = StoredExport(store, KEY, tmp_path / "other")
    for reports in ({"acceptance.html": b"one", "acceptance.json": b"{}"}, {"acceptance.html": b"two"}, {}):
        before = export.read_manifest()
        assert before
        judged = before.model_copy(update={"verdict": "rejected"})
        kept = KeptExport(export.folder, before)
        replace_verdict(export, kept, tmp_path, judged, reports)
        after = export.see().manifest
        assert after
        assert after.verdict == "rejected"
        assert {file.path for file in after.files} == {"model.ifc", *reports}
        assert set(store.entries(f"{KEY}")) == {f"{KEY}/{name}" for name in ("model.ifc", "manifest.json", *reports)}
        read_as_reader(store)


def test_a_verdict_on_what_was_replaced_is_not_noted(s3_store: XmlStore, tmp_path: Path) -> None:
    """If another process has published since the export was read, its manifest and reports stay."""
    store = of_xml_store(s3_store).open()
    publish(store, tmp_path, "1", model="published")
    export = StoredExport(store, KEY, tmp_path / "other")
    before = export.read_manifest()
    assert before
    publish(store, tmp_path, "2", model="the next")
    judged = before.model_copy(update={"verdict": "rejected"})
    replace_verdict(export, KeptExport(export.folder, before), tmp_path, judged, {"acceptance.html": b"old"})
    now = export.see().manifest
    assert now
    assert (now.run_id, now.verdict) == ("2", "not_checked")
    assert "acceptance.html" not in read_as_reader(store)
    assert f"{KEY}/acceptance.html" not in store.entries(KEY)


def test_a_check_that_is_cut_short_leaves_it_whole(s3_store: XmlStore, tmp_path: Path) -> None:
    """If the store fails while reports are replaced, the export is whole and counts as not checked."""
    store = of_xml_store(s3_store).open()
    publish(store, tmp_path, "1", model="published")
    export = StoredExport(store, KEY, tmp_path / "other")
    for number in range(2):
        before = export.read_manifest()
        assert before
        if number:
            s3_store.fault = refusing(".html")
        judged = before.model_copy(update={"verdict": "rejected"})
        with pytest.raises(ConfigurationError, match="does not permit") if number else nullcontext():
            replace_verdict(export, KeptExport(export.folder, before), tmp_path, judged, {"acceptance.html": b"x"})
    s3_store.fault = None
    now = export.see().manifest
    assert now
    assert now.verdict == "not_checked"
    read_as_reader(store)
