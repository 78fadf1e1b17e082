"""Readers find the old tileset or the new one, whatever happens in between."""

import errno
import sys
import threading
from pathlib import Path

import pytest

from blocks.errors import DiskError
from blocks.storage.manifest import Manifest, read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.tileset import publish as tileset_publish
from blocks.storage.tileset.download import checkpoint_path
from blocks.storage.tileset.publish import previous_path, publish_tileset, recover
from tests.blocks.storage.tileset.tilesets import small, written


@pytest.fixture(params=["one step", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to swap: the one of Linux and the portable one."""
    if request.param == "two renames":
        monkeypatch.setattr("sys.platform", "elsewhere")
    return request.param


def publish(root: Path, blobs: dict[str, bytes]) -> Manifest:
    staging = root / ".mesh.staging"
    manifest = written(staging, blobs)
    checkpoint_path(staging).write_text("{}")
    return publish_tileset(staging, root / "mesh", manifest)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("swap")
def test_publish(tmp_path: Path) -> None:
    """The first and each later tileset is published whole; nothing is left beside it."""
    for count in (12, 4, 9):
        written = publish(tmp_path, small(count))
        assert read_manifest(tmp_path / "mesh") == written
        verify_published(tmp_path / "mesh", written, full=True)
        assert len(list((tmp_path / "mesh").rglob("*.glb"))) == count
        assert names_in(tmp_path) == ["mesh"]


@pytest.mark.usefixtures("swap")
def test_strangers(tmp_path: Path) -> None:
    """Files that are not ours are set aside with the old folder, not deleted."""
    publish(tmp_path, small(12))
    (tmp_path / "mesh" / "tiles" / "notes.txt").write_text("mine")
    publish(tmp_path, small(4))
    assert names_in(tmp_path) == ["mesh", "mesh.kept-1"]
    kept = [path for path in (tmp_path / "mesh.kept-1").rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == ["mine"]


@pytest.mark.usefixtures("swap")
def test_folder_without_manifest(tmp_path: Path) -> None:
    """A folder that is no export of ours is set aside as it is."""
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "tileset.json").write_text("mine")
    publish(tmp_path, small())
    assert (tmp_path / "mesh.kept-1" / "tileset.json").read_text() == "mine"


def test_crash_between_renames(tmp_path: Path) -> None:
    """After a crash between two renames the old tileset is put back."""
    before = publish(tmp_path, small())
    (tmp_path / "mesh").rename(previous_path(tmp_path / "mesh"))
    recover(tmp_path / "mesh")
    verify_published(tmp_path / "mesh", before, full=True)
    assert names_in(tmp_path) == ["mesh"]


def test_crash_while_clearing_up(tmp_path: Path) -> None:
    """After a crash while the old tileset was being deleted the rest of it goes."""
    old = publish(tmp_path / "old", small())
    (tmp_path / "old" / "mesh").rename(previous_path(tmp_path / "mesh"))
    (previous_path(tmp_path / "mesh") / old.files[1].path).unlink()
    now = publish(tmp_path, small(4))
    verify_published(tmp_path / "mesh", now, full=True)
    assert names_in(tmp_path) == ["mesh", "old"]


def test_second_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new tileset cannot take its place the old one gets it back."""
    before = publish(tmp_path, small())
    rename = tileset_publish.replace

    def refuse(source: Path, target: Path) -> None:
        if source.name == ".mesh.staging":
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(source, target)

    monkeypatch.setattr("sys.platform", "elsewhere")
    monkeypatch.setattr(tileset_publish, "replace", refuse)
    with pytest.raises(DiskError):
        publish(tmp_path, small(4))
    verify_published(tmp_path / "mesh", before, full=True)


def test_reader_meanwhile(tmp_path: Path) -> None:
    """On Linux a reader that looks all the time finds a tileset with its manifest every time."""
    publish(tmp_path, small(3))
    done = threading.Event()
    looks: list[bool] = []

    def look() -> None:
        while not done.is_set():
            looks.append(read_manifest(tmp_path / "mesh") is not None)

    reader = threading.Thread(target=look)
    reader.start()
    for count in range(1, 12):
        publish(tmp_path, small(count))
    done.set()
    reader.join()
    assert looks
    assert all(looks) or sys.platform != "linux"
