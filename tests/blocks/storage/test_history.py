"""Earlier exports stay as issued: which ones, at what cost, and whatever else lies there."""

import contextlib
from pathlib import Path
from typing import cast

import pytest

from blocks.errors import DiskError
from blocks.storage.history import HISTORY, label_of, read_history
from blocks.storage.manifest import VersionFacts
from tests.blocks.storage.publishing import Format, Publisher

ISSUED = {4: "Issued for review", 8: "Issued for construction"}


@pytest.fixture(params=["ifc", "mesh"])
def publisher(request: pytest.FixtureRequest, tmp_path: Path) -> Publisher:
    """Publishes one iModel in either format."""
    return Publisher(tmp_path, cast("Format", request.param))


def labels(publisher: Publisher) -> set[str]:
    return {path.name for path in (publisher.folder / HISTORY).iterdir()}


def test_ten_nights_and_two_issues_leave_what_was_promised(publisher: Publisher) -> None:
    """With keep=3 the three exports before the current one stay and both issues, each whole with its own manifest."""
    for night in range(1, 11):
        publisher.publish(night, keep=3, version=ISSUED.get(night))
    assert publisher.runs() == {
        "": "run 10",
        "0009 2026-11-09": "run 9",
        "0008 Issued for construction": "run 8",
        "0007 2026-11-07": "run 7",
        "0004 Issued for review": "run 4",
    }
    assert labels(publisher) | {""} == publisher.runs().keys()


def test_a_file_that_stays_the_same_takes_space_once(publisher: Publisher) -> None:
    """All exports share the one file on the disk that never changed, and each has its own of what did."""
    for night in range(1, 6):
        publisher.publish(night, keep=4)
    same, changed = ([path.stat() for path in publisher.folder.rglob(name)] for name in ("same.log", "model.ifc"))
    assert (len(same), len({state.st_ino for state in same})) == (5, 1)
    assert (len(changed), len({state.st_ino for state in changed})) == (5, 5)


def test_without_keep_nothing_is_kept_and_nothing_of_the_history_lost(publisher: Publisher) -> None:
    """keep=0 leaves a history as it is: no export goes in, and none is removed."""
    publisher.publish(1, keep=0)
    publisher.publish(2, keep=0)
    assert not (publisher.folder / HISTORY).exists()
    publisher.publish(3, keep=1, version="Issued")
    publisher.publish(4, keep=0)
    publisher.publish(5, keep=0)
    assert publisher.runs() == {"": "run 5", "0002 2026-11-02": "run 2"}


def test_the_same_changeset_again_is_another_export(publisher: Publisher) -> None:
    """Two exports of one changeset and day, or of one version, have a number in their label; neither is overwritten."""
    for attempt in range(3):
        publisher.publish(1, keep=5, version="Issued", attempt=attempt)
    assert publisher.runs().keys() == {"", "0001 Issued", "0001 Issued (2)"}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Rev. 1/2: <A>?", "0007 Rev. 1_2_ _A__"),
        ("Änderung “3”\u202e.", "0007 Änderung “3”_"),
        ("x" * 255, "0007 " + "x" * 195),
        ("..", "0007"),
    ],
)
def test_labels_are_safe_for_every_file_system(tmp_path: Path, name: str, label: str) -> None:
    """Slashes, reserved characters, control characters and length of a version's name do not get into a path."""
    manifest = Publisher(tmp_path, "ifc").publish(7, keep=0)
    assert label_of(manifest.model_copy(update={"named_version": VersionFacts(id="v", name=name)})) == label


def test_earlier_manifests_without_an_index_have_a_label_too(tmp_path: Path) -> None:
    """An export of a release that noted no index is kept under the beginning of its changeset."""
    manifest = Publisher(tmp_path, "ifc").publish(7, keep=0)
    assert label_of(manifest.model_copy(update={"changeset_index": None})) == "000000000000 2026-11-07"
    adopted = manifest.model_copy(update={"changeset_index": None, "changeset_id": None})
    assert label_of(adopted) == "unknown 2026-11-07"


def test_a_damaged_export_is_not_kept(publisher: Publisher) -> None:
    """What is not whole any more is no export."""
    publisher.publish(1, keep=3)
    (publisher.folder / "model.ifc").write_bytes(b"damaged")
    publisher.publish(2, keep=3)
    assert publisher.runs() == {"": "run 2"}


def test_pruning_touches_nothing_that_no_manifest_lists(publisher: Publisher) -> None:
    """A stranger's folder in the history, and a stranger's file in an export, stay when exports are pruned."""
    publisher.publish(1, keep=1)
    publisher.publish(2, keep=1)
    history = publisher.folder / HISTORY
    (history / "own").mkdir()
    (history / "own" / "notes.txt").write_text("mine")
    (history / "0001 2026-11-01" / "notes.txt").write_text("mine")
    publisher.publish(3, keep=1)
    publisher.publish(4, keep=1)
    assert publisher.runs() == {"": "run 4", "0003 2026-11-03": "run 3"}
    assert sorted(path.relative_to(history).as_posix() for path in history.rglob("notes.txt")) == [
        "0001 2026-11-01/notes.txt",
        "own/notes.txt",
    ]
    assert not (history / "0001 2026-11-01" / "model.ifc").exists()


def test_nothing_happens_behind_a_history_that_is_a_link(publisher: Publisher, tmp_path: Path) -> None:
    """Nothing is written, read or deleted behind a symbolic link; with IFC files that is an error."""
    publisher.publish(1, keep=1)
    (tmp_path / "elsewhere").mkdir()
    (publisher.folder / HISTORY).symlink_to(tmp_path / "elsewhere")
    assert read_history(publisher.folder) == []
    is_refused = publisher.export_format == "ifc"
    with pytest.raises(DiskError, match="history is a symbolic link") if is_refused else contextlib.nullcontext():
        publisher.publish(2, keep=1)
    assert publisher.runs()[""] == ("run 1" if is_refused else "run 2")
    assert list((tmp_path / "elsewhere").iterdir()) == []
