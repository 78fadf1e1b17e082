"""What changed since the export that is published."""

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.storage.content.difference import Change, ExportBefore, Files, IfcDifference
from blocks.storage.content.global_ids import GLOBAL_IDS_NAME, GlobalIds
from blocks.storage.content_file import write_global_ids
from blocks.storage.difference_to_before import compare_global_ids, compare_tiles
from blocks.storage.manifest import Manifest, ManifestFile, Role, write_manifest

DAY = datetime(2026, 11, 20, 2, tzinfo=UTC)
BEFORE = ExportBefore(changeset_id="a" * 40, changeset_index=7, created_at=DAY, same_options=True)


def ids_of(**classes: range) -> GlobalIds:
    made = GlobalIds()
    for name, numbers in classes.items():
        for number in numbers:
            made.of_class(name).add(f"{number:022}".encode())
    return made


def manifest_of(*files: ManifestFile) -> Manifest:
    return Manifest(
        api_url="https://api.example",
        imodel_id="imodel",
        changeset_id="a" * 40,
        changeset_index=7,
        format="ifc",
        options={"ifc_version": "IFC4.3"},
        tool_version="0",
        files=files,
        created_at=DAY,
    )


def tile(name: str, content: str, role: Role = "tile") -> ManifestFile:
    digest = hashlib.sha256(content.encode()).hexdigest()
    return ManifestFile(path=name, role=role, size=len(content), sha256=digest)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """An export of twenty walls and three doors."""
    listed = write_global_ids(tmp_path, ids_of(IfcWall=range(20), IfcDoor=range(100, 103)))
    write_manifest(tmp_path, manifest_of(listed))
    return tmp_path


def test_the_difference_names_classes_and_the_export_before(published: Path) -> None:
    """The sentence says since when, what came and went by class, how much stayed, and what is not compared."""
    now = ids_of(IfcWall=range(20), IfcBeam=range(50, 62), IfcDoor=range(101, 102), IfcRelAggregates=range(200, 300))
    difference = compare_global_ids(published, now, {"ifc_version": "IFC4.3"})
    assert difference
    assert (difference.added, difference.gone, difference.kept) == (112, 2, 21)
    assert difference.classes["IfcWall"] == Change(kept=20)
    assert difference.before == BEFORE
    assert difference.sentence() == (
        "Since the export of 2026-11-20 (changeset 7): +12 IfcBeam, −2 IfcDoor, +100 IfcRelAggregates; 21 GlobalIds "
        "kept. Geometry and properties are not compared, and an exporter may give the same element another GlobalId"
    )
    other = compare_global_ids(published, ids_of(IfcWall=range(20), IfcDoor=range(100, 103)), {"ifc_version": "IFC2x3"})
    assert other
    assert other.sentence().startswith(
        "Since the export of 2026-11-20 (changeset 7), made with other options: nothing added or gone; 23 GlobalIds"
    )


def test_the_short_form_has_ten_classes() -> None:
    """Manifest and report have the ten classes that changed most, and the sentence names five of them."""
    changes = {f"IfcMadeUp{number:02}": Change(added=1, gone=number) for number in range(14)}
    classes = {**changes, "IfcSlab": Change(kept=9), "IfcWall": Change(gone=1)}
    full = IfcDifference(before=BEFORE, added=14, gone=92, kept=9, changed_classes=15, classes=classes)
    short = full.shortened()
    assert list(short.classes) == ["IfcWall", *(f"IfcMadeUp{number:02}" for number in range(13, 4, -1))]
    named = ", ".join(f"+1 −{number} IfcMadeUp{number}" for number in range(13, 9, -1))
    assert short.changes() == full.changes() == f"−1 IfcWall, {named}, 10 more classes; 9 GlobalIds kept"


def test_without_a_list_there_is_no_difference(published: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No export, one of an earlier release, and one whose list was tampered with: None, and the log says why."""
    now = ids_of(IfcWall=range(3))
    assert compare_global_ids(published / "none", now, {}) is None
    listed = published / GLOBAL_IDS_NAME
    with caplog.at_level(logging.INFO, "prefect.itwin"):
        assert not caplog.messages
        for content, words in ((listed.read_bytes()[:-8], "not the file that was published"), (None, "No such file")):
            listed.unlink() if content is None else listed.write_bytes(content)
            assert compare_global_ids(published, now, {}) is None
            assert words in caplog.messages[-1]
        write_manifest(published, manifest_of())
        assert compare_global_ids(published, now, {}) is None
    assert "no list of its GlobalIds, for an earlier release made it" in caplog.messages[-1]


def test_files_of_tilesets_are_compared_by_name_and_content(tmp_path: Path) -> None:
    """Each file is added, changed, gone or kept, with its bytes; the content report is none of them."""
    old = (tile("a.glb", "aa"), tile("b.glb", "b"), tile("c.glb", "ccc"), tile("content.json", "x", "content"))
    write_manifest(tmp_path, manifest_of(*old))
    new = (tile("a.glb", "aa"), tile("b.glb", "B"), tile("d.glb", "dddd"), tile("e.glb", "e"))
    difference = compare_tiles(tmp_path, new, {})
    assert difference
    assert difference.changes() == "files added 2 (5 bytes), changed 1 (1 bytes), gone 1 (3 bytes), kept 1 (2 bytes)"
    assert difference.added == Files(files=2, size=5)
    assert not difference.before.same_options
    assert compare_tiles(tmp_path / "none", new, {}) is None
